//! The clients of a primary that has not been allowed to commit for a while.
use super::Keeper;
use crate::act::Trouble;
use crate::{pg, sessions};

/// All but the monitor's, the other nodes', and superusers on this machine, the keeper itself among them.
const END_SESSIONS: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
      FROM pg_stat_activity LEFT JOIN pg_roles ON pg_roles.oid = usesysid
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND rolname <> ALL ($1::text[]) AND NOT (client_addr IS NULL AND rolsuper)";

impl Keeper {
    /// After the monitor's answer, which may have brought the lease back.
    pub(super) async fn end_sessions(&mut self) -> Result<(), Trouble> {
        if self.restarting || self.facts.stopping || !sessions::are_refused() {
            return Ok(());
        }
        let ours = sessions::OURS.as_slice();
        let row = self.local.ask(async |client| client.query_one(END_SESSIONS, &[&ours]).await).await?;
        match row.get::<_, i64>(0) {
            0 => {}
            ended => pg::log(&format!("this node may not commit: ended {ended} sessions")),
        }
        Ok(())
    }
}
