/*
 * System calls that no safe Rust function makes, attempted from inside a prisoner.
 *
 * Loaded with LD_PRELOAD. The prisoner calls sched_yield() once it is confined; this one stands in for the C library's and
 * attempts each call in turn, with arguments that do no harm where they are not refused. One line each:
 * name, a tab, errno or 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAW(name, ...) told(name, syscall(__VA_ARGS__))

static void told(const char *name, long answer) {
    int error = answer < 0 ? errno : 0;
    dprintf(1, "%s\t%d\n", name, error);
}

static void forked(const char *name, long pid) {
    if (pid == 0) syscall(SYS_exit_group, 0);
    told(name, pid);
    if (pid > 0) waitpid(pid, NULL, 0);
}

static void files(const char *file) {
    RAW("truncate by path", SYS_truncate, file, 1L);
    RAW("open by handle", SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
    RAW("name to handle", SYS_name_to_handle_at, AT_FDCWD, file, NULL, NULL, 0);
    RAW("exec by descriptor", SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH);
    RAW("exec by path", SYS_execve, "/nonexistent", NULL, NULL);
    RAW("quota", SYS_quotactl, -1, NULL, 0, NULL);
    RAW("swap on", SYS_swapon, "/nonexistent", 0);
    RAW("account", SYS_acct, "/nonexistent");
    RAW("mount", SYS_mount, "none", "/nonexistent", "none", 0L, NULL);
    RAW("unmount", SYS_umount2, "/nonexistent", 0);
    RAW("pivot root", SYS_pivot_root, "/nonexistent", "/nonexistent");
    RAW("move mount", SYS_move_mount, -1, "", -1, "", 0);
    RAW("change mount", SYS_mount_setattr, -1, "", 0, NULL, 0L);
    RAW("watch everything", SYS_fanotify_init, 0xffff, 0);
    RAW("change mode, new form", 452L /* fchmodat2 */, -1, "", 0, AT_EMPTY_PATH);
#ifdef SYS_open
    RAW("open, old form", SYS_open, file, O_RDONLY);
    RAW("create, old form", SYS_creat, file, 0600);
    RAW("rename, old form", SYS_rename, "/nonexistent", file);
    RAW("unlink, old form", SYS_unlink, "/nonexistent");
    RAW("link, old form", SYS_link, "/nonexistent", file);
    RAW("symlink, old form", SYS_symlink, "x", file);
    RAW("make folder, old form", SYS_mkdir, file, 0700);
    RAW("chmod, old form", SYS_chmod, file, 0600);
    RAW("stat, old form", SYS_stat, file, NULL);
#endif
}

static void processes(void) {
#ifdef SYS_fork
    forked("fork", syscall(SYS_fork));
#endif
    forked("clone a process", syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L));
    RAW("clone, new form", SYS_clone3, NULL, 0L);
    RAW("trace another", SYS_ptrace, 16L /* attach */, -1L, 0L, 0L);
    RAW("let itself be traced", SYS_ptrace, 0L, 0L, 0L, 0L);
    RAW("read another's memory", SYS_process_vm_readv, -1, NULL, 0L, NULL, 0L, 0L);
    RAW("write another's memory", SYS_process_vm_writev, -1, NULL, 0L, NULL, 0L, 0L);
    RAW("take another's descriptor", SYS_pidfd_getfd, -1, 0, 0);
    RAW("compare with another", SYS_kcmp, -1, -1, 0, 0L, 0L);
    RAW("signal everybody", SYS_kill, -1, 0);
    RAW("signal a thread of init", SYS_tgkill, 1, 1, 0);
    RAW("signal by the older call", SYS_tkill, -1, 0);
    RAW("queue a signal", SYS_rt_sigqueueinfo, -1, 0, NULL);
    RAW("new namespace", SYS_unshare, 0xffffffffL);
    RAW("join a namespace", SYS_setns, -1, 0);
    RAW("personality", SYS_personality, 0xffffffffL);
    RAW("another filter", SYS_seccomp, 1L, 0L, NULL);
    RAW("name itself", SYS_prctl, 15L, NULL, 0L, 0L, 0L);
    RAW("set another's limit", SYS_prlimit64, 1, 0, NULL, NULL);
}

static void kernel(void) {
    RAW("add a key", SYS_add_key, NULL, NULL, NULL, 0L, 0);
    RAW("use a key", SYS_keyctl, -1L, 0L, 0L, 0L, 0L);
    RAW("bpf", SYS_bpf, -1, NULL, 0);
    RAW("io_uring", SYS_io_uring_setup, 0, NULL);
    RAW("measure", SYS_perf_event_open, NULL, -1, -1, -1, 0xffffL);
    RAW("catch page faults", SYS_userfaultfd, -1);
    RAW("secret memory", SYS_memfd_secret, -1);
    RAW("load a kernel", SYS_kexec_load, 0L, 17L, NULL, 0L);
    RAW("load a module", SYS_init_module, NULL, 0L, NULL);
    RAW("unload a module", SYS_delete_module, NULL, 0L);
    RAW("reboot", SYS_reboot, 0, 0, 0, NULL);
    RAW("read the log", SYS_syslog, -1, NULL, 0);
    RAW("set a clock", SYS_clock_settime, 0xffff, NULL);
    RAW("adjust a clock", SYS_clock_adjtime, 0xffff, NULL);
    RAW("shared memory", SYS_shmget, 0L, 0L, 0);
    RAW("message queue", SYS_mq_open, NULL, 0, 0, NULL);
    RAW("socket", SYS_socket, -1, 0, 0);
    RAW("accept", SYS_accept4, -1, NULL, NULL, 0);
    RAW("connect", SYS_connect, -1, NULL, 0);
    RAW("type into the terminal", SYS_ioctl, -1, 0x5412L, NULL);
#ifdef __x86_64__
    RAW("raw ports", SYS_ioperm, -1L, 0L, 0);
    RAW("x32 form of getpid", 0x40000000 + SYS_getpid);
#endif
}

static void memory(void) {
    long executable = syscall(SYS_mmap, 0L, 4096L, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1L, 0L);
    told("executable memory", executable == -1 ? -1 : 0);
    void *plain = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    told("plain memory (must work)", plain == MAP_FAILED ? -1 : 0);
    RAW("make memory executable", SYS_mprotect, plain, 4096L, PROT_READ | PROT_EXEC);
    RAW("make memory readable (must work)", SYS_mprotect, plain, 4096L, PROT_READ);
    RAW("make memory executable by key", SYS_pkey_mprotect, plain, 4096L, PROT_READ | PROT_EXEC, -1);
}

int sched_yield(void) {
    const char *file = getenv("FIRN_RAW_FILE");
    if (!file) return (int)syscall(SYS_sched_yield);
    files(file);
    processes();
    kernel();
    memory();
    return 0;
}
