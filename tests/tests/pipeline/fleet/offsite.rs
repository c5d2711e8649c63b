//! Ice from its timer, and a drill on a machine that has nothing but keys.

use std::fs;
use std::time::Duration;

use pipeline_tests::keys::OpenPgpKey;
use pipeline_tests::machine::target_folder;

use super::by_salt;
use super::step::Step;
use super::world::{BACKUP, World};

/// Where the bucket's server listens, on the backup server itself.
const PORT: u16 = 9000;
const BUCKET: &str = "example-ice";

/// Bucket and keys.
pub(super) struct Offsite {
    key: OpenPgpKey,
    credentials: String,
    _folder: tempfile::TempDir,
}

impl Offsite {
    /// A bucket on the server's loopback, and a key that the server has the public half of.
    pub(super) fn new(world: &World) -> Offsite {
        let folder = tempfile::tempdir().unwrap();
        let key = OpenPgpKey::make(folder.path(), &folder.path().join("gnupg")).unwrap();
        let fleet = &world.fleet;
        fleet.push_file(BACKUP, &target_folder().join("debug/fake-s3"), "/usr/local/bin/fake-s3").unwrap();
        let unit = format!(
            "[Service]\nDynamicUser=yes\nExecStart=/usr/local/bin/fake-s3 --listen 127.0.0.1:{PORT} --bucket {BUCKET} --lock\n"
        );
        fleet.write(BACKUP, "/etc/systemd/system/bucket.service", "0644", &unit).unwrap();
        let line = "systemctl daemon-reload && systemctl start bucket.service
            until said=$(journalctl -u bucket.service -o cat --no-pager | grep ^http); do sleep .1; done; echo \"$said\"";
        let said = world.said(BACKUP, line);
        let mut words = said.split(' ').skip(1);
        let (access, secret) = (words.next().unwrap(), words.next().unwrap());
        let credentials = format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n");
        Offsite { key, credentials, _folder: folder }
    }

    /// The vault as a pillar has it, with what only one role knows of it.
    fn vault(own: &str) -> String {
        format!(
            "      vaults:\n        - {{name: off-site, url: 's3:{BUCKET}', endpoint: 'http://127.0.0.1:{PORT}', path_style: true, {own}}}\n"
        )
    }

    /// The timer that Salt enabled makes ice of every host, and again at its next turn; the calendar it is shipped with says the 1st and the 15th.
    pub(super) fn ice_comes_from_its_timer(&self, world: &World) {
        let mut step = Step::begin("ice from its timer");
        let fleet = &world.fleet;
        let pillar = format!(
            "firn:\n  roles: [backup-server, iceboxer]\n  ice:\n    settings:\n      history: /srv/firn/history\n      staging: /var/lib/firn/ice/staging\n      ledger: /var/lib/firn/ice/ledger\n      drill_records: /var/lib/firn/ice/drills\n      recipients: [{{certificate: /etc/firn/ice.asc, fingerprint: {:?}}}]\n{}    files: {{ice.asc: salt://firn/files/ice.asc}}\n    credentials: {{s3: {:?}}}\n{}",
            self.key.fingerprint,
            Offsite::vault("credentials_systemd: vault_s3, retention_days: 92, prove_lock: never"),
            self.credentials,
            by_salt::MINE_OF_SERVER
        );
        let certificate = fs::read_to_string(&self.key.certificate).unwrap();
        let files = [("pillar/server.sls", pillar), ("salt/firn/files/ice.asc", certificate)];
        by_salt::becomes(&mut step, world, BACKUP, &files);
        world.said(BACKUP, "install -d -o firn-ice -m 700 /var/lib/firn/ice/drills");
        let timer =
            world.said(BACKUP, "systemctl is-enabled firn-ice.timer; systemctl is-active firn-ice.timer");
        step.is("the timer", timer, "enabled\nactive".to_owned());
        let calendar = world.said(BACKUP, "systemctl show -P TimersCalendar firn-ice.timer");
        step.fits("the calendar", calendar.clone(), |text| text.contains("OnCalendar=*-*-01,15 02:30:00"));
        let line = "systemd-analyze calendar --base-time='2027-02-10' --iterations=3 '*-*-01,15 02:30:00' | grep -oE '2027-[0-9-]+ 02:30:00'";
        step.is(
            "its next turns",
            world.said(BACKUP, line),
            "2027-02-15 02:30:00\n2027-03-01 02:30:00\n2027-03-15 02:30:00".to_owned(),
        );
        let often = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nRandomizedDelaySec=0\nAccuracySec=1s\n";
        fleet.write(BACKUP, "/etc/systemd/system/firn-ice.timer.d/often.conf", "0644", often).unwrap();
        step.ended(world.sh(BACKUP, "systemctl daemon-reload; systemctl start firn-ice.timer"), 0);
        let sealed = "grep -c . /var/lib/firn/ice/ledger/ledger 2>/dev/null; true";
        let ran = "journalctl -u firn-ice.service -o cat --no-pager | grep -c '\"exit\":0'; true";
        step.comes("two runs", Duration::from_secs(90), || {
            (world.said(BACKUP, ran).parse::<u32>().unwrap() >= 2).then_some(())
        });
        step.ended(world.sh(BACKUP, "systemctl stop firn-ice.timer; while systemctl is-active -q firn-ice.service; do sleep .1; done"), 0);
        step.fits("lines of the ledger", world.said(BACKUP, sealed).parse::<usize>().unwrap(), |lines| {
            *lines >= world.hosts.len()
        });
        step.is("what failed", world.said(BACKUP, "systemctl --failed --plain --no-legend"), String::new());
    }

    /// A machine that never saw the host gets its files back from the bucket, with the offline key, and the proof goes to the server.
    pub(super) fn a_drill_restores_a_host_on_a_fresh_machine(&self, world: &World, host: &str, fresh: &str) {
        let mut step = Step::begin("a drill on a fresh machine");
        let fleet = &world.fleet;
        // The secret key and the credentials are brought by hand; all else is Salt's.
        world.said(fresh, "install -d -m 700 /root/ice-key");
        fleet.push_file(fresh, &self.key.secret, "/root/ice-key/secret.asc").unwrap();
        fleet.push_file(fresh, &self.key.passphrase_file, "/root/ice-key/passphrase").unwrap();
        fleet.write(fresh, "/root/ice-key/s3", "0600", &self.credentials).unwrap();
        let pillar = format!(
            "firn:\n  roles: [drill-host]\n  drill:\n    settings:\n      quarantine: /var/lib/firn/drill/quarantine\n      records: /var/lib/firn/drill/records\n      key: /root/ice-key/secret.asc\n      passphrase_file: /root/ice-key/passphrase\n      server_certificates: [/etc/firn/server.asc]\n{}    files: {{server.asc: salt://firn/files/server.asc}}\n",
            Offsite::vault("credentials_file: /root/ice-key/s3")
        );
        let certificate = world.said(BACKUP, "cat /var/lib/firn/ice/ledger/signing-key.asc");
        let files = [("pillar/drill.sls", pillar), ("salt/firn/files/server.asc", certificate)];
        by_salt::becomes(&mut step, world, fresh, &files);
        self.dig_tunnel(world, fresh);
        step.ended(world.sh(fresh, &format!("restore-drill verify {host}/latest")), 0);
        step.ended(world.sh(fresh, &format!("restore-drill restore {host}/latest --to /root/restored")), 0);
        step.is("what was restored", world.sums(fresh, "/root/restored/data"), world.data(host));
        let record = world.said(fresh, "cat /var/lib/firn/drill/records/*.json | head -c 100000");
        step.fits("the record", record, |text| text.contains(host));
        let records = tempfile::tempdir().unwrap();
        fleet.pull_file(fresh, "/var/lib/firn/drill/records", &records.path().join("records")).unwrap();
        fleet.push_file(BACKUP, &records.path().join("records"), "/var/lib/firn/ice/drills").unwrap();
        world.said(BACKUP, "chown -R firn-ice: /var/lib/firn/ice/drills; systemctl start firn-ice.service");
        // 3: the other hosts were never proved, and it says so.
        let status = step.ended(world.sh(BACKUP, "runuser -u firn-ice -- iceboxer status"), 3);
        let proved: Vec<_> = status.stdout.lines().filter(|line| line.ends_with(", proved")).collect();
        step.fits(
            "what is proved",
            proved,
            |lines| matches!(lines[..], [line] if line.starts_with(&format!("{host}/"))),
        );
    }

    /// The bucket's server speaks to its own machine only: the fresh one comes there by ssh, as an administrator.
    fn dig_tunnel(&self, world: &World, fresh: &str) {
        let key = world.said(fresh, "ssh-keygen -q -t ed25519 -N '' -C '' -f /root/.ssh/id_ed25519 </dev/null; cat /root/.ssh/id_ed25519.pub");
        world.fleet.write(BACKUP, "/root/.ssh/authorized_keys", "0600", &format!("{key}\n")).unwrap();
        let line = format!(
            "systemd-run -q --unit=tunnel ssh -o StrictHostKeyChecking=accept-new -o ExitOnForwardFailure=yes -N -L {PORT}:127.0.0.1:{PORT} root@{BACKUP}
            for n in $(seq 100); do nc -z 127.0.0.1 {PORT} && exit 0; sleep .1; done; exit 1"
        );
        world.said(fresh, &line);
    }
}
