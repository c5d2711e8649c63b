//! What is in an image, and what is refused before one counts.

use std::fs;
use std::io::Read;
use std::process::Command;

use cli::Exit;
use formats::ContentHash;
use iceboxer::settings::Scope;

use crate::rig::{Scratch, Spec, everything, meta, noise, output, run};

fn unsquashfs(args: &[&str]) -> Vec<u8> {
    let output = output(Command::new("unsquashfs").args(args));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn stock_tools_alone_bring_back_the_files() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one"), scratch.recipient("two")];
    let name = scratch.snapshot("web01", &everything());
    assert_eq!(run(scratch.plan(&recipients, vec![scratch.target()])).unwrap(), Exit::WHOLE);
    let ice = format!("web01/{name}");
    let image = scratch.thaw(&ice);
    let image = image.to_str().unwrap();
    assert_eq!(scratch.record(&ice).image.hash, ContentHash::of(&fs::read(image).unwrap()));

    let out = scratch.path("out");
    let inside = format!("snapshots/{name}/etc");
    unsquashfs(&["-no-progress", "-d", out.to_str().unwrap(), image, &inside, "manifests"]);
    let manifest = format!("manifests/{name}.manifest");
    let kept = scratch.path("history/web01").join(&manifest);
    // There it is squeezed, in the image it is not.
    let mut ours = Vec::new();
    history::ManifestBytes::of(fs::File::open(&kept).unwrap()).unwrap().read_to_end(&mut ours).unwrap();
    assert!(ours.starts_with(b"firn.man") && fs::read(out.join(&manifest)).unwrap() == ours);
    let diff = output(
        Command::new("diff")
            .args(["-r", "--no-dereference", "--exclude=long"])
            .arg(scratch.path("history/web01").join(&name).join("tree/etc"))
            .arg(out.join(inside)),
    );
    assert!(diff.status.success() && diff.stdout.is_empty(), "{}", String::from_utf8_lossy(&diff.stdout));
}

#[test]
fn an_image_has_true_owners_modes_and_times() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let image = scratch.thaw(&format!("web01/{name}"));
    let listing = output(Command::new("unsquashfs").args(["-lln", "-UTC", image.to_str().unwrap()]));
    let text = String::from_utf8_lossy(&listing.stdout).into_owned();
    let expected = [
        ("etc", "drwxr-xr-x 0/1", "2023-11-14 22:13"),
        ("etc/empty", "-rw------- 1000/1001", "1970-01-01 00:00"),
        ("etc/large", "-rwsr-xr-x 70000/70001", "2017-07-14 02:40"),
        ("etc/large again", "-rwsr-xr-x 70000/70001", "2017-07-14 02:40"),
        ("etc/old", "-rw-r----- 3/4", "1970-01-01 00:00"),
        ("run", "drwxrwxrwt 0/1", "1970-01-01 00:00"),
        ("run/fifo", "prw------- 0/1", "1970-01-01 00:00"),
        ("run/null", "crw-rw-rw- 0/1", "1970-01-01 00:00"),
    ];
    for (path, owner, time) in expected {
        let end = format!(" squashfs-root/snapshots/{name}/{path}");
        let line =
            text.lines().find(|line| line.ends_with(&end)).unwrap_or_else(|| panic!("{path} in {text}"));
        assert!(line.starts_with(owner) && line.contains(time), "{line}");
    }
    for absent in ["etc/long", "run/socket"] {
        assert!(!text.contains(&format!("{name}/{absent}")), "{absent} is for the manifest alone");
    }
    assert_eq!(scratch.record(&format!("web01/{name}")).left_out, 2);
    assert!(text.lines().any(|line| line.starts_with("drwx------ 0/0") && line.ends_with(" squashfs-root")));
}

#[test]
fn scope_all_puts_every_snapshot_into_one_image() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let mut names = Vec::new();
    for version in [&b"one"[..], b"two", b"three"] {
        names.push(scratch.snapshot("web01", &vec![(b"a", Spec::File(version.to_vec()), meta(0o644, 0, 1))]));
    }
    let mut plan = scratch.plan(&recipients, vec![scratch.target()]);
    plan.scope = Scope::All;
    run(plan).unwrap();
    let ice = format!("web01/{}", names[2]);
    let sequences: Vec<u64> = scratch.record(&ice).snapshots.iter().map(|s| s.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    let image = scratch.thaw(&ice);
    let out = scratch.path("out");
    unsquashfs(&["-no-progress", "-d", out.to_str().unwrap(), image.to_str().unwrap()]);
    for (name, version) in names.iter().zip(["one", "two", "three"]) {
        assert_eq!(fs::read_to_string(out.join(format!("snapshots/{name}/a"))).unwrap(), version);
    }
}

type Damage = (&'static str, fn(&std::path::Path));

#[test]
fn history_that_is_not_its_manifest_is_never_uploaded() {
    let damages: [Damage; 6] = [
        ("a folder in place of the file", |tree| {
            fs::remove_file(tree.join("etc/hosts")).unwrap();
            fs::create_dir(tree.join("etc/hosts")).unwrap();
        }),
        ("a changed byte", |tree| fs::write(tree.join("etc/hosts"), b"127.0.0.2 localhost\n").unwrap()),
        ("a byte too few", |tree| fs::write(tree.join("etc/hosts"), b"127.0.0.1 localhost").unwrap()),
        ("a byte too many", |tree| fs::write(tree.join("etc/hosts"), b"127.0.0.1 localhost\n\n").unwrap()),
        ("a missing file", |tree| fs::remove_file(tree.join("etc/hosts")).unwrap()),
        ("a link in place of the file", |tree| {
            fs::rename(tree.join("etc/hosts"), tree.join("moved")).unwrap();
            std::os::unix::fs::symlink("../moved", tree.join("etc/hosts")).unwrap();
        }),
    ];
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    for (number, (what, damage)) in damages.iter().enumerate() {
        let host = format!("web{number}");
        let name = scratch.snapshot(&host, &everything());
        damage(&scratch.path("history").join(&host).join(name).join("tree"));
        let mut plan = scratch.plan(&recipients, vec![scratch.target()]);
        plan.hosts = vec![host.parse().unwrap()];
        let failed = run(plan).unwrap_err();
        assert_eq!(failed.exit(), Exit::SNAPSHOT_DIFFERS, "{what}: {}", failed.chain());
        assert!(failed.chain().contains("etc/hosts"), "{what}: {}", failed.chain());
        assert!(scratch.objects().is_empty(), "{what}");
        assert!(scratch.is_staging_empty(&host), "{what}");
    }
}

#[test]
fn a_manifest_that_the_log_does_not_name_is_never_uploaded() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let one = scratch.snapshot("web01", &vec![(b"a", Spec::File(b"one".to_vec()), meta(0o644, 0, 1))]);
    let two = scratch.snapshot("web01", &vec![(b"a", Spec::File(b"two".to_vec()), meta(0o644, 0, 1))]);
    let manifests = scratch.path("history/web01/manifests");
    fs::copy(manifests.join(format!("{one}.manifest")), manifests.join(format!("{two}.manifest"))).unwrap();
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::SNAPSHOT_DIFFERS);
    let whole = fs::read(manifests.join(format!("{one}.manifest"))).unwrap();
    fs::write(manifests.join(format!("{two}.manifest")), &whole[..whole.len() - 1]).unwrap();
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::DAMAGED);
    assert!(scratch.objects().is_empty());
}

#[test]
fn many_small_files_and_many_owners_survive() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let names: Vec<&'static [u8]> = (0..3_000u32)
        .map(|number| -> &'static [u8] {
            Box::leak(format!("d/{number:04}").into_bytes().into_boxed_slice())
        })
        .collect();
    let mut tree = vec![(&b"d"[..], Spec::Folder, meta(0o755, 0, 1))];
    tree.extend(
        names
            .iter()
            .zip(0u32..)
            .map(|(name, n)| (*name, Spec::File(noise(n as usize % 97, n.into())), meta(0o600, n, 1))),
    );
    let name = scratch.snapshot("web01", &tree);
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let image = scratch.thaw(&format!("web01/{name}"));
    let text = unsquashfs(&["-lln", image.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.lines().any(|line| line.contains(" 1999/2000 ") && line.ends_with("d/1999")),
        "in the table"
    );
    assert!(text.lines().any(|line| line.contains(" 0/0 ") && line.ends_with("d/2999")), "beyond it");
}
