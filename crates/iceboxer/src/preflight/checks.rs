//! The one table of what preflight can find. docs/preflight.md has the same words; a test holds the two together.

use cli::Exit;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Ice is not safe, or cannot be made.
    Failure,
    /// Ice can be made; somebody should see to this.
    Warning,
    /// It could be better.
    Advice,
}

impl Severity {
    /// Its name in the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Failure => "failure",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

/// One thing that can be found.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its stable name.
    pub code: &'static str,
    /// How much it matters, at most.
    pub severity: Severity,
    /// How a program ends for this reason, if it is a failure.
    pub exit: Exit,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

macro_rules! checks {
    ($($name:ident = $code:literal, $severity:ident, $exit:ident, $why:literal, $fix:literal;)*) => {
        $(
            #[doc = $why]
            pub const $name: &Check =
                &Check { code: $code, severity: Severity::$severity, exit: Exit::$exit, why: $why, fix: $fix };
        )*
        /// All of them, in the order of the document.
        pub const ALL: &[&Check] = &[$($name,)*];
    };
}

checks! {
    CERTIFICATE_MISSING = "certificate-missing", Failure, CERTIFICATE,
        "Nothing can be sealed without the public certificate.",
        "Export it where the secret key is kept, `gpg --armor --export FINGERPRINT`, and put it where `certificate` says.";
    CERTIFICATE_SECRET_KEY = "certificate-secret-key", Failure, CERTIFICATE,
        "Whoever takes this server could read all ice.",
        "Move the file to a machine that never touches this network, put `gpg --armor --export FINGERPRINT` in its place, and think of the key as known.";
    CERTIFICATE_WRONG_FINGERPRINT = "certificate-wrong-fingerprint", Failure, CERTIFICATE,
        "Ice would be sealed to a key that you may not have.",
        "Find out who changed the file. Change `fingerprint` only if it was you.";
    CERTIFICATE_EXPIRED = "certificate-expired", Failure, CERTIFICATE,
        "Nothing is sealed to a certificate that is not valid today.",
        "Where the secret key is kept: `gpg --quick-set-expire FINGERPRINT 3y` and again with `'*'` at its end, then export it anew.";
    CERTIFICATE_UNUSABLE = "certificate-unusable", Failure, CERTIFICATE,
        "Nothing is sealed to a certificate that is revoked, broken, too weak or without an encryption key.",
        "Export one good certificate into the file: `gpg --armor --export FINGERPRINT`.";
    CERTIFICATE_EXPIRES_30 = "certificate-expires-30", Warning, CERTIFICATE,
        "Within 30 days no more ice can be made.",
        "Now, where the secret key is kept: `gpg --quick-set-expire FINGERPRINT 3y` and again with `'*'` at its end, then export it anew.";
    CERTIFICATE_EXPIRES_90 = "certificate-expires-90", Warning, CERTIFICATE,
        "Within 90 days no more ice can be made.",
        "Soon, where the secret key is kept: `gpg --quick-set-expire FINGERPRINT 3y` and again with `'*'` at its end, then export it anew.";
    CERTIFICATE_EXPIRES_180 = "certificate-expires-180", Warning, CERTIFICATE,
        "Within half a year no more ice can be made.",
        "At the next visit to the secret key: `gpg --quick-set-expire FINGERPRINT 3y` and again with `'*'` at its end, then export it anew.";
    ONE_RECIPIENT = "one-recipient", Warning, CERTIFICATE,
        "If the one secret key is lost, all ice is lost.",
        "Make a second key, keep it at another place, and name its certificate in a second `[[recipients]]`.";
    HISTORY_MISSING = "history-missing", Failure, MACHINE,
        "There is nothing to make ice of.",
        "Let `history` name the folder that snapshotter writes, readable for the account of iceboxer.";
    HISTORY_UNSOUND = "history-unsound", Failure, DAMAGED,
        "A history that does not fit its log is not sealed.",
        "Look at it with `snapshotter verify`.";
    FOLDER_UNUSABLE = "folder-unusable", Failure, MACHINE,
        "Without its staging folder and its ledger, iceboxer can do nothing.",
        "Make the folder, owned by the account of iceboxer, mode 0700.";
    FOLDER_ABSENT = "folder-absent", Advice, MACHINE,
        "The first run makes it. If it should be there, a disk is not mounted.",
        "Nothing, before the first run.";
    LEDGER_DAMAGED = "ledger-damaged", Failure, DAMAGED,
        "Somebody or something changed the ledger.",
        "See what is in the vaults with `restore-drill list`.";
    NO_DRILL_RECORD = "no-drill-record", Warning, MACHINE,
        "No ice is known to restore, and what a drill has proved is what every run keeps locked.",
        "Run `restore-drill verify HOST/latest` where the secret key is, bring the record it writes to this server, and let `drill_records` name its folder.";
    NO_STAGING_ROOM = "no-staging-room", Failure, NO_STAGING,
        "The largest image that the histories come to may not fit.",
        "Free some space, or let `staging` name a folder on a larger disk.";
    ONE_PLACE = "one-place", Advice, VAULT_UNREACHABLE,
        "Who can close that account, or the fire that takes that machine, takes all ice.",
        "Add a `[[vaults]]` elsewhere: three copies, on two kinds of storage, one of them off-site.";
    SAME_PLACE = "same-place", Warning, VAULT_UNREACHABLE,
        "Two vaults in one place are one copy, paid for twice.",
        "Let each `url` name a place of its own.";
    RETENTION_BELOW_MINIMUM = "retention-below-minimum", Warning, VAULT_UNREACHABLE,
        "The provider bills the class's minimum duration, so removing ice when its lock ends saves nothing.",
        "Raise `retention_days` to the minimum, or choose another `storage_class`.";
    VAULT_SETTING = "vault-setting", Failure, USAGE,
        "The vault cannot be opened.",
        "Correct the setting.";
    CREDENTIALS_OPEN = "credentials-open", Failure, VAULT_DENIED,
        "Others than its owner may use the file: think of the credentials as known.",
        "`chmod 600` the file, and make a new access key.";
    CREDENTIALS_UNREADABLE = "credentials-unreadable", Failure, VAULT_DENIED,
        "The vault cannot be opened without its credentials.",
        "Two lines for the owner only: `access_key_id = \"...\"` and `secret_access_key = \"...\"`.";
    BAD_CREDENTIALS = "bad-credentials", Failure, VAULT_DENIED,
        "The provider does not know these credentials, or their secret is another.",
        "Make a new access key for the writer that `iceboxer setup` prints.";
    UNREACHABLE = "unreachable", Failure, VAULT_UNREACHABLE,
        "Nobody answers there, or nobody who speaks S3.",
        "Check `endpoint`, the name service, the firewall and the provider's certificate.";
    NO_BUCKET = "no-bucket", Failure, VAULT_UNREACHABLE,
        "The provider has no bucket of this name.",
        "Check `url` and `endpoint`, or make the bucket: `iceboxer setup` prints it.";
    OTHER_REGION = "other-region", Failure, VAULT_UNREACHABLE,
        "The bucket lies in another region than the settings say, or the endpoint is that of another region.",
        "Set `region` and `endpoint` to the bucket's own.";
    CLOCK_WRONG = "clock-wrong", Failure, VAULT_DENIED,
        "From 15 minutes on a provider refuses every request.",
        "Set this machine's clock, and keep it set: `timedatectl set-ntp true`.";
    CLOCK_SKEW = "clock-skew", Warning, VAULT_DENIED,
        "The clocks are more than 5 minutes apart; from 15 minutes on a provider refuses every request.",
        "Set this machine's clock, and keep it set: `timedatectl set-ntp true`.";
    NO_VERSIONING = "no-versioning", Failure, LOCK_MISSING,
        "Whoever may put can write over what lies there.",
        "Make a new bucket with object lock, which brings versions: `iceboxer setup` prints it.";
    VERSIONING_SUSPENDED = "versioning-suspended", Failure, LOCK_MISSING,
        "What is put now can be written over.",
        "Turn versions on again, and find out who turned them off.";
    NO_OBJECT_LOCK = "no-object-lock", Failure, LOCK_MISSING,
        "Nothing that lies there can be locked, and iceboxer puts nothing there.",
        "Make a new bucket with object lock: `iceboxer setup` prints it.";
    NO_DEFAULT_RETENTION = "no-default-retention", Failure, LOCK_MISSING,
        "What arrives without a lock of its own, as through a provider's mistake, stays without one.",
        "Set a default retention in compliance mode: `iceboxer setup` prints it.";
    GOVERNANCE_MODE = "governance-mode", Failure, LOCK_MISSING,
        "A lock in governance mode is lifted by whoever has one more permission.",
        "Set the default retention to compliance mode: `iceboxer setup` prints it.";
    SHORT_DEFAULT_RETENTION = "short-default-retention", Failure, LOCK_MISSING,
        "What arrives without a lock of its own is locked for less than ice must be. A warning only if it is 92 days and more.",
        "Raise the default retention to `retention_days`: `iceboxer setup` prints it.";
    LOCKS_DO_NOT_MOVE = "locks-do-not-move", Warning, LOCK_MISSING,
        "No lock there can be made longer: proved ice is not kept beyond its date, a host that has not changed gets new ice, and the bucket must lock for two days more than `retention_days`.",
        "Enable object retention on the bucket and give the server's account storage.objects.setRetention and storage.objects.update, as `iceboxer setup gcs` prints; or keep ice in a second vault as well.";
    LIFECYCLE_EXPIRES = "lifecycle-expires", Failure, LOCK_MISSING,
        "The bucket hides ice by its age alone, also the newest, and so what is still locked. A warning only if it does so after `retention_days`.",
        "Take expiration out of the rule: `iceboxer setup` prints the one rule that is needed.";
    LIFECYCLE_EXPIRES_VERSIONS = "lifecycle-expires-versions", Failure, LOCK_MISSING,
        "A delete marker or an overwrite is enough, and the bucket itself removes ice on the day its lock ends. A warning only if it does so after `retention_days`.",
        "Take the expiration of noncurrent versions out of the rule.";
    LIFECYCLE_TRANSITIONS = "lifecycle-transitions", Warning, VAULT_UNREACHABLE,
        "Moving ice costs a request for each object, and early-deletion fees; a record that is archived has to be thawed before anything can be listed.",
        "Take transitions out of the rule, and set `storage_class` instead.";
    NO_ABORT_RULE = "no-abort-rule", Warning, VAULT_UNREACHABLE,
        "Parts of uploads that were never finished are billed, and shown in no listing.",
        "Add a rule that aborts incomplete multipart uploads after 7 days: `iceboxer setup` prints it.";
    CUSTOMER_KEY = "customer-key", Failure, VAULT_UNREACHABLE,
        "Whoever deletes that key makes all ice unreadable, and no lock stands in the way.",
        "Encrypt the bucket with the provider's own key (SSE-S3, AES256). The ice is encrypted anyway.";
    PUBLIC_ACCESS = "public-access", Warning, VAULT_UNREACHABLE,
        "One careless policy or access list would open the bucket to everybody.",
        "Block public access, all four settings: `iceboxer setup` prints it.";
    PUBLIC_POLICY = "public-policy", Failure, VAULT_UNREACHABLE,
        "The bucket's policy lets everybody in.",
        "Put the bucket policy in its place that `iceboxer setup` prints.";
    CAN_DELETE = "can-delete", Failure, LOCK_MISSING,
        "Whoever takes this server can hide ice, and remove what is not locked any more.",
        "Give the server's account the policy that `iceboxer setup` prints, and the bucket the policy that denies the same.";
    MISSING_PERMISSION = "missing-permission", Failure, VAULT_DENIED,
        "iceboxer cannot work without this permission.",
        "Give the server's account the policy that `iceboxer setup` prints.";
    NOT_VISIBLE = "not-visible", Warning, VAULT_DENIED,
        "What cannot be seen may be wrong.",
        "Give the server's account the permission, which changes nothing: `iceboxer setup` prints all it needs.";
    NOT_ANSWERED = "not-answered", Warning, VAULT_UNREACHABLE,
        "What cannot be seen may be wrong. Only advice where a provider need not have it.",
        "Look for it in the provider's own console.";
    FOLDER_MISSING = "folder-missing", Failure, VAULT_UNREACHABLE,
        "The vault's folder is not there, or is out of reach: a disk that is not mounted.",
        "Mount the disk, or make the folder for the account of iceboxer.";
    FOLDER_NOT_WRITABLE = "folder-not-writable", Failure, VAULT_UNREACHABLE,
        "No ice can be stored in this vault.",
        "Give the folder to the account of iceboxer: `chown`, or mount it for writing.";
    FOLDER_OPEN = "folder-open", Warning, VAULT_UNREACHABLE,
        "Others on this machine may remove ice from the vault's folder.",
        "`chmod go-w` the folder.";
    FOLDER_NOT_IMMUTABLE = "folder-not-immutable", Advice, VAULT_UNREACHABLE,
        "This file system has no mark that protects a file from its owner (`chattr +i`).",
        "Use ext4, xfs or btrfs on that disk.";
    SAME_DISK = "same-disk", Warning, VAULT_UNREACHABLE,
        "The vault lies on the file system of the history: one broken disk takes both.",
        "Let `url` name a folder on another disk, best one that is carried away.";
    NO_VAULT_ROOM = "no-vault-room", Warning, VAULT_UNREACHABLE,
        "The largest image that the histories come to may not fit into the vault.",
        "Put in a larger disk. Firn never deletes from a vault.";
}
