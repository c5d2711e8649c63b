//! Ceph's S3 server with a Ceph of one node below it, on loopback, in a folder of its own, empty. What is locked in COMPLIANCE mode cannot be deleted, so
//! the whole store goes with it.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::machine::find_program;

use super::client::Key;

/// How long a daemon may take to come up.
const START: Duration = Duration::from_secs(120);
/// Programs that are needed.
pub(crate) const PROGRAMS: [&str; 8] =
    ["ceph", "ceph-authtool", "ceph-mgr", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"];

/// A running server. It ends, and its store is gone, when it is dropped.
pub(crate) struct Rgw {
    folder: tempfile::TempDir,
    /// In the order in which they were started.
    daemons: Vec<Child>,
    pub(crate) port: u16,
}

impl Drop for Rgw {
    fn drop(&mut self) {
        while let Some(mut daemon) = self.daemons.pop() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Rgw {
    pub(crate) fn start() -> Rgw {
        let ports = free_ports();
        let folder = tempfile::Builder::new().prefix("rgw").tempdir_in("/tmp").unwrap();
        let mut rgw = Rgw { folder, daemons: Vec::new(), port: ports[0] };
        for name in ["mon", "mgr", "osd", "rgw", "run", "log"] {
            fs::create_dir(rgw.path().join(name)).unwrap();
        }
        let fsid = uuid();
        fs::write(rgw.path().join("ceph.conf"), configuration(rgw.path(), &fsid, ports)).unwrap();
        rgw.make_keys();
        let at = |name: &str| rgw.path().join(name).display().to_string();
        let (map, keyring) = (at("monmap"), at("keyring"));
        let addresses = format!("[v2:127.0.0.1:{},v1:127.0.0.1:{}]", ports[1], ports[2]);
        rgw.run("monmaptool", &["--create", "--clobber", "--fsid", &fsid, "--addv", "a", &addresses, &map]);
        rgw.run("ceph-mon", &["--mkfs", "-i", "a", "--monmap", &map, "--keyring", &keyring]);
        rgw.daemon("ceph-mon", &["-i", "a"]);
        rgw.run("ceph", &["--connect-timeout", "60", "-s"]);
        rgw.daemon("ceph-mgr", &["-i", "x"]);
        let osd = uuid();
        rgw.run("ceph", &["--connect-timeout", "60", "osd", "new", &osd, "0"]);
        rgw.run("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", &osd]);
        rgw.daemon("ceph-osd", &["-i", "0"]);
        let until = Instant::now() + START;
        while !rgw.run("ceph", &["--connect-timeout", "60", "osd", "stat"]).contains("1 up") {
            assert!(Instant::now() < until, "the store did not come up");
            std::thread::sleep(Duration::from_millis(300));
        }
        rgw.daemon("radosgw", &["-n", "client.rgw.a"]);
        while TcpStream::connect(("127.0.0.1", rgw.port)).is_err() {
            assert!(Instant::now() < until, "the server did not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        rgw
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a user. `more` are further words of the command.
    pub(crate) fn user(&self, name: &str, more: &[&str]) -> Key {
        let words = ["user", "create", "--uid", name, "--display-name", name];
        let said = self.run("radosgw-admin", &[&words, more].concat());
        let user: serde_json::Value = serde_json::from_str(&said).unwrap();
        let text = |name: &str| user["keys"][0][name].as_str().unwrap().to_owned();
        Key { access: text("access_key"), secret: text("secret_key") }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find_program(program).unwrap());
        let conf = self.path().join("ceph.conf");
        command.env("CEPH_CONF", &conf).current_dir(self.path()).stdin(Stdio::null());
        if !["ceph-authtool", "monmaptool"].contains(&program) {
            command.arg("-c").arg(conf);
        }
        command
    }

    fn run(&self, program: &str, words: &[&str]) -> String {
        let output = self.command(program).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// In the foreground, so that it is a child of ours.
    fn daemon(&mut self, program: &str, words: &[&str]) {
        let log = File::create(self.path().join("log").join(format!("{program}.out"))).unwrap();
        let mut command = self.command(program);
        command.arg("-f").args(words).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemons.push(command.spawn().unwrap());
    }

    fn make_keys(&self) {
        let ring = self.path().join("keyring").display().to_string();
        for (name, caps) in [
            ("mon.", &["mon", "allow *"][..]),
            ("client.admin", &["mon", "allow *", "osd", "allow *", "mgr", "allow *"]),
            ("mgr.x", &["mon", "allow profile mgr", "osd", "allow *"]),
            ("osd.0", &["mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"]),
            ("client.rgw.a", &["mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"]),
        ] {
            let create: &[&str] = if name == "mon." { &["--create-keyring"] } else { &[] };
            let mut words = [create, &[ring.as_str(), "--gen-key", "-n", name]].concat();
            for cap in caps.chunks(2) {
                words.extend(["--cap", cap[0], cap[1]]);
            }
            self.run("ceph-authtool", &words);
        }
    }
}

/// Three ports that nobody has. Another process may take one before it is used: then the start fails, and says so.
fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
}

/// Signatures between the daemons must be on, or the server waits for minutes; a pool of one copy must be allowed; few placement groups, or making the
/// pools takes a minute; no admin sockets, whose paths have a length limit.
fn configuration(at: &Path, fsid: &str, ports: [u16; 3]) -> String {
    let at = at.display();
    format!(
        "[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{}/0,v1:127.0.0.1:{}/0]
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {at}/keyring
run dir = {at}/run
admin socket =
pid file = {at}/run/$name.pid
log file = {at}/log/$name.log
mon cluster log file = {at}/log/cluster.log
crash dir = {at}/log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail warn = 5
mon data avail crit = 1
[mon.a]
mon data = {at}/mon
host = localhost
[mgr]
mgr data = {at}/mgr
mgr initial modules =
[osd.0]
osd data = {at}/osd
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = 8589934592
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[client.rgw.a]
rgw data = {at}/rgw
rgw frontends = beast endpoint=127.0.0.1:{}
",
        ports[1], ports[2], ports[0]
    )
}
