//! The settings `pg_autoctl.*`.
//!
//! Those without a function here are for the command line, which reads them as SQL does: the node registers with them.
use crate::pg::{self, fenced_reads::FencedReads, tls_mode::TlsMode};
use crate::shared::rule;
use connection::Ssl;
use node_files::StateDir;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::{CStr, CString};
use std::path::PathBuf;
use std::time::Duration;

type Text = GucSetting<Option<CString>>;

/// Where the monitor is. Without a password: settings can be read by everybody, secrets have a file of their own.
static MONITOR: Text = Text::new(None);
static FORMATION: Text = Text::new(Some(c"default"));
static GROUP: GucSetting<i32> = GucSetting::<i32>::new(0);
static NAME: Text = Text::new(Some(c""));
/// The name or address that the other nodes and the clients reach this server by; it cannot be guessed reliably.
static HOSTNAME: Text = Text::new(Some(c""));
/// Empty means "beside PGDATA", which is only known when the server runs.
static STATE_DIR: Text = Text::new(Some(c""));
/// Empty means "beside the postgres program".
static HELPER: Text = Text::new(Some(c""));
/// Empty means the operating system's user, which initdb makes the first superuser.
static LOCAL_USER: Text = Text::new(Some(c""));
static HEARTBEAT_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(1000);
/// Off, because a node that cannot ask anybody may have been replaced meanwhile (law 5).
static START_WITHOUT_MONITOR: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Refused, because what a writer without a lease shows may have been overtaken elsewhere.
static FENCED_READS: GucSetting<FencedReads> = GucSetting::<FencedReads>::new(FencedReads::Refuse);
/// On, because a session that does not wait is told of commits that a failover loses (law 1).
static MINIMUM_SYNCHRONOUS_COMMIT: GucSetting<bool> = GucSetting::<bool>::new(true);
/// The block of pg_hba.conf is the operator's to write.
static SKIP_PG_HBA: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Written by the keeper, right after the names that it numbers.
static RULE_NUMBER: GucSetting<i32> = GucSetting::<i32>::new(0);
/// How this node reaches the other nodes.
static SSL_MODE: GucSetting<TlsMode> = GucSetting::<TlsMode>::new(TlsMode::Require);
static SSL_CA_FILE: Text = Text::new(Some(c""));
static SSL_CRL_FILE: Text = Text::new(Some(c""));
/// On, because a server that nobody looks after any more is better noticed at once.
static STOP_WHEN_DROPPED: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Only there so that `config get pg_autoctl.role` answers, as in pg_auto_failover.
static ROLE: Text = Text::new(Some(c"keeper"));

/// Defines the settings. While libraries are preloaded only: some cannot change later.
pub fn init() {
    by_reload(
        c"pg_autoctl.monitor",
        c"Connection string of the monitor, without a password.",
        c"A URI or keywords as libpq reads them. Empty: the keeper waits.",
        &MONITOR,
    );
    by_restart(c"pg_autoctl.formation", c"Formation of this node.", c"", &FORMATION);
    GucRegistry::define_int_guc(
        c"pg_autoctl.group",
        c"Group of this node in its formation.",
        c"",
        &GROUP,
        0,
        i32::MAX,
        GucContext::Postmaster,
        GucFlags::default(),
    );
    by_reload(c"pg_autoctl.name", c"Name of this node on the monitor.", c"", &NAME);
    by_reload(
        c"pg_autoctl.hostname",
        c"Name or address by which other nodes and clients reach this server.",
        c"",
        &HOSTNAME,
    );
    by_restart(
        c"pg_autoctl.state_dir",
        c"Directory of the node's own files.",
        c"Empty: beside PGDATA, with \".autoctl\" added to its name. Never inside PGDATA.",
        &STATE_DIR,
    );
    by_restart(
        c"pg_autoctl.helper",
        c"The pg_autoctl program, which runs between two lives of the server.",
        c"Empty: beside the postgres program.",
        &HELPER,
    );
    by_reload(
        c"pg_autoctl.local_user",
        c"Superuser that the keeper connects as through the Unix socket.",
        c"Empty: the operating system's user of the server.",
        &LOCAL_USER,
    );
    GucRegistry::define_int_guc(
        c"pg_autoctl.heartbeat_period",
        c"How often the keeper reports when nothing changes.",
        c"",
        &HEARTBEAT_PERIOD,
        50,
        60_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_bool_guc(
        c"pg_autoctl.start_without_monitor",
        c"Lets a node that wrote without a lease before start writing again while the monitor cannot be reached.",
        c"If another node was made the writer meanwhile, both write.",
        &START_WITHOUT_MONITOR,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"pg_autoctl.minimum_synchronous_commit",
        c"Raises synchronous_commit to \"on\" for every commit while commits wait for standbys.",
        c"Off: sessions may ask for less, and a failover may lose what they were told is committed.",
        &MINIMUM_SYNCHRONOUS_COMMIT,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"pg_autoctl.fenced_reads",
        c"What becomes of sessions while this server is a primary that may not commit.",
        c"Allow: they stay, and only commits are refused; what they read may be out of date.",
        &FENCED_READS,
        GucContext::Sighup,
        GucFlags::default(),
    );
    pg::define_watched_number(
        c"pg_autoctl.rule_number",
        c"Number of the present synchronous_standby_names; set by the keeper only.",
        &RULE_NUMBER,
        rule_read,
    );
    GucRegistry::define_bool_guc(
        c"pg_autoctl.skip_pg_hba",
        c"Leaves pg_hba.conf alone; the lines that it needs are logged when they change.",
        c"",
        &SKIP_PG_HBA,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"pg_autoctl.ssl_mode",
        c"What this node asks of TLS when it connects to another node, as libpq's sslmode.",
        c"",
        &SSL_MODE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    by_reload(
        c"pg_autoctl.ssl_ca_file",
        c"The authorities whose certificates the other nodes may show.",
        c"Needed for verify-ca and verify-full.",
        &SSL_CA_FILE,
    );
    by_reload(
        c"pg_autoctl.ssl_crl_file",
        c"The certificates that those authorities have taken back.",
        c"",
        &SSL_CRL_FILE,
    );
    GucRegistry::define_bool_guc(
        c"pg_autoctl.stop_when_dropped",
        c"Stops the server when this node is dropped from its group.",
        c"Off: it stays, read-only.",
        &STOP_WHEN_DROPPED,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"pg_autoctl.role",
        c"What pg_autoctl does on this server.",
        c"",
        &ROLE,
        GucContext::Internal,
        GucFlags::default(),
    );
    pg::reserve_setting_prefix();
}

fn by_reload(name: &'static CStr, what: &'static CStr, more: &'static CStr, setting: &'static Text) {
    GucRegistry::define_string_guc(name, what, more, setting, GucContext::Sighup, GucFlags::default());
}

fn by_restart(name: &'static CStr, what: &'static CStr, more: &'static CStr, setting: &'static Text) {
    GucRegistry::define_string_guc(name, what, more, setting, GucContext::Postmaster, GucFlags::default());
}

/// In every process that reads the configuration, each time that it does.
fn rule_read(number: i32) {
    rule::read(number.cast_unsigned(), pg::is_checkpointer());
}

/// The value, when it is not empty.
fn text(setting: &'static Text) -> Option<String> {
    let value = setting.get()?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// The monitor's connection string, without a password; nothing when no monitor is set.
pub fn monitor() -> Option<String> {
    text(&MONITOR)
}

/// What a connection to another node asks of TLS.
pub fn ssl() -> Ssl {
    let file = |setting| text(setting).map(PathBuf::from);
    Ssl { mode: SSL_MODE.get().into(), root_cert: file(&SSL_CA_FILE), crl: file(&SSL_CRL_FILE) }
}

/// Where the node's own files are.
pub fn state_dir() -> PathBuf {
    match text(&STATE_DIR) {
        // Relative paths are PGDATA's, as with PostgreSQL's own settings.
        Some(path) => pg::data_dir().join(path),
        None => StateDir::beside(&pg::data_dir()).path().to_owned(),
    }
}

/// The pg_autoctl program.
pub fn helper() -> PathBuf {
    match text(&HELPER) {
        Some(path) => PathBuf::from(path),
        None => pg::executable().with_file_name("pg_autoctl"),
    }
}

/// Whom the keeper connects as.
pub fn local_user() -> String {
    text(&LOCAL_USER).unwrap_or_else(pg::os_user)
}

/// The pause between two reports.
pub fn heartbeat_period() -> Duration {
    Duration::from_millis(u64::try_from(HEARTBEAT_PERIOD.get()).unwrap_or(1000))
}

/// Writing may begin without the monitor's word, when the durable state is unleased.
pub fn start_without_monitor() -> bool {
    START_WITHOUT_MONITOR.get()
}

/// No session asks for less than `synchronous_commit = on` while commits wait for members.
pub fn minimum_synchronous_commit() -> bool {
    MINIMUM_SYNCHRONOUS_COMMIT.get()
}

/// A primary that may not commit serves no reads either.
pub fn refuses_fenced_reads() -> bool {
    FENCED_READS.get() == FencedReads::Refuse
}

/// The rule that this process has read; 0: none.
pub fn rule_number() -> u32 {
    RULE_NUMBER.get().cast_unsigned()
}

/// pg_hba.conf is not ours to write.
pub fn skip_pg_hba() -> bool {
    SKIP_PG_HBA.get()
}

/// The server stops when its node was dropped.
pub fn stop_when_dropped() -> bool {
    STOP_WHEN_DROPPED.get()
}
