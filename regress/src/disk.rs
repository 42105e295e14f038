//! The disk that a node's WAL is on: small, so that it can be full. It is mounted on the node's machine only, and is gone with
//! the machine. Root only, on a cluster with machines.
use crate::server::{Server, text};

/// Not the name of a WAL segment: the server leaves it alone.
const BALLAST: &str = "ballast";

impl Server {
    /// Moves pg_wal of a stopped server to a disk of its own, with room for that many megabytes.
    pub fn move_wal_to_small_disk(&self, megabytes: u32) {
        let script = format!(
            "mv pg_wal pg_wal.before && mkdir pg_wal && mount -t tmpfs -o size={megabytes}m wal pg_wal && \
             cp -a pg_wal.before/. pg_wal && chown --reference=pg_wal.before pg_wal && chmod 700 pg_wal && \
             rm -r pg_wal.before"
        );
        self.on_its_machine(&script);
    }

    /// Whether its WAL is on a disk of its own. A new copy of the server is not.
    pub fn has_small_wal_disk(&self) -> bool {
        self.try_on_its_machine("mountpoint -q pg_wal").is_ok()
    }

    /// Somebody else's file takes all the room that is left.
    pub fn fill_wal_disk(&self) {
        // dd fails when the disk is full, which is what it is for. Never on any other disk than that one.
        self.on_its_machine(&format!(
            "mountpoint -q pg_wal && ! dd if=/dev/zero of=pg_wal/{BALLAST} bs=64k 2>/dev/null && test -s pg_wal/{BALLAST}"
        ));
    }

    /// And is removed again.
    pub fn free_wal_disk(&self) {
        self.on_its_machine(&format!("rm -f pg_wal/{BALLAST}"));
    }

    fn on_its_machine(&self, script: &str) {
        self.try_on_its_machine(script).unwrap_or_else(|said| panic!("{script}: {said}"));
    }

    fn try_on_its_machine(&self, script: &str) -> Result<(), String> {
        let output = self
            .account
            .root_command("sh")
            .args(["-c", &format!("cd \"$0\" && {script}")])
            .arg(&self.pgdata)
            .output()
            .expect("running sh on the node's machine");
        if output.status.success() { Ok(()) } else { Err(text(&output)) }
    }
}
