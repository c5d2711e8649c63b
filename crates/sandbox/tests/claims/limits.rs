use std::io::Write;
use std::os::unix::process::ExitStatusExt;

use rustix::process::{Resource, getrlimit};
use sandbox::limits;

use crate::prisoner::held;
use crate::world::{User, World};

const MEBIBYTE: u64 = 1 << 20;

pub(crate) fn hold() {
    let world = World::new(User::Same);
    for word in ["memory", "data", "open files", "never raised", "core"] {
        assert_eq!(world.must(&["limit", word]), "held\n", "{word}");
    }
    let done = world.run(&["limit", "cpu"]);
    assert!(matches!(done.status.signal(), Some(libc::SIGXCPU | libc::SIGKILL)), "{done:?}");
    let done = world.run(&["limit", "file size"]);
    assert_eq!(done.status.signal(), Some(libc::SIGXFSZ), "{done:?}");
    assert_eq!(std::fs::metadata(world.at("inside/big")).unwrap().len(), MEBIBYTE);
}

pub(crate) fn child(word: &str) {
    match word {
        "memory" => {
            let more = || Vec::<u8>::new().try_reserve_exact(800 << 20);
            assert!(more().is_ok(), "control");
            limits::limit_memory(512 * MEBIBYTE).unwrap();
            assert!(more().is_err());
        }
        "data" => {
            let more = || Vec::<u8>::new().try_reserve_exact(800 << 20);
            assert!(more().is_ok(), "control");
            limits::limit_data(512 * MEBIBYTE).unwrap();
            assert!(more().is_err());
        }
        "open files" => {
            let held = held();
            assert!(held.inside.try_clone().is_ok(), "control");
            limits::limit_open_files(3).unwrap();
            assert!(held.inside.try_clone().is_err());
        }
        "never raised" => {
            limits::limit_open_files(10).unwrap();
            limits::limit_open_files(1_000).unwrap();
            let left = getrlimit(Resource::Nofile);
            assert_eq!((left.current, left.maximum), (Some(10), Some(10)));
        }
        "core" => {
            limits::limit_core_zero().unwrap();
            assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        }
        "cpu" => {
            limits::limit_core_zero().unwrap();
            limits::limit_cpu(1).unwrap();
            let begin = std::time::Instant::now();
            while begin.elapsed().as_secs() < 30 {}
        }
        _ => {
            limits::limit_core_zero().unwrap();
            limits::limit_file_size(MEBIBYTE).unwrap();
            let mut file = std::fs::File::create(held().path.join("inside/big")).unwrap();
            for _ in 0..3 {
                file.write_all(&[1; 1 << 20]).unwrap();
            }
        }
    }
    println!("held");
}
