//! The floors of the house: a crate stands on lower floors only.

use super::Finding;
use super::metadata::Metadata;

/// Each crate and its floor. `ARCHITECTURE.md` draws the same table for people.
const FLOORS: &[(&str, u8)] = &[
    ("xtask", 5),
    ("pipeline-tests", 4),
    ("push-client", 3),
    ("receiver", 3),
    ("snapshotter", 3),
    ("iceboxer", 3),
    ("restore-drill", 3),
    ("history", 2),
    ("restore", 2),
    ("signing", 2),
    ("wire", 1),
    ("durable", 1),
    ("sandbox", 1),
    ("cli", 1),
    ("vault", 1),
    ("formats", 0),
    ("fake-gcs", 0),
    ("fake-glacier", 0),
    ("fake-s3", 0),
];

/// What only tests may use: a program never ships it.
const TESTS_ONLY: &[&str] = &["fake-gcs", "fake-glacier", "fake-s3"];
/// The first floor that is no part of a program.
const TESTS_FLOOR: u8 = 4;

fn floor_of(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let Some(floor) = floor_of(&package.name) else {
            findings.push(format!(
                "crate {}: stands on no floor; add it to crates/xtask/src/tidy/floors.rs",
                package.name
            ));
            continue;
        };
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
        for (name, below) in
            normal.filter_map(|dependency| Some((&dependency.name, floor_of(&dependency.name)?)))
        {
            if TESTS_ONLY.contains(&name.as_str()) && floor < TESTS_FLOOR {
                findings.push(format!("crate {} uses {name}, which is for tests only", package.name));
            }
            if below >= floor {
                findings.push(format!(
                    "crate {} (floor {floor}) uses {name} (floor {below}), which is not below it",
                    package.name
                ));
            }
        }
    }
    for (name, _) in FLOORS {
        if !metadata.packages.iter().any(|package| package.name == *name) {
            findings.push(format!("crate {name} has a floor, but does not exist"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Dependency, Package};
    use super::*;

    #[test]
    fn a_crate_that_uses_its_neighbour_is_found() {
        let mut packages: Vec<_> = FLOORS.iter().map(|(name, _)| package(name)).collect();
        assert_eq!(check(&Metadata { packages }), Vec::<Finding>::new());
        packages = FLOORS.iter().map(|(name, _)| package(name)).collect();
        let vault = packages.iter_mut().find(|package| package.name == "vault").unwrap();
        vault.dependencies.push(Dependency { name: "durable".to_owned(), kind: None });
        vault.dependencies.push(Dependency { name: "history".to_owned(), kind: Some("dev".to_owned()) });
        vault.dependencies.push(Dependency { name: "fake-s3".to_owned(), kind: Some("dev".to_owned()) });
        let iceboxer = packages.iter_mut().find(|package| package.name == "iceboxer").unwrap();
        iceboxer.dependencies.push(Dependency { name: "fake-s3".to_owned(), kind: None });
        let findings = check(&Metadata { packages });
        assert_eq!(
            findings,
            [
                "crate iceboxer uses fake-s3, which is for tests only",
                "crate vault (floor 1) uses durable (floor 1), which is not below it"
            ]
        );
    }

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            description: None,
            license: None,
            dependencies: Vec::new(),
            targets: Vec::new(),
        }
    }
}
