//! Where the WAL of this node ends. A receiver that streamed has published it; otherwise the replay has to have read
//! all that is there, which shows when the startup process waits for more.
use super::Trouble;
use crate::local::Local;
use crate::pg;
use crate::shared::receiver;
use crate::tick::Keeper;
use fsm::units::{Lsn, Timeline};

/// The last look at a replay that waited for more.
#[derive(Default)]
pub struct WalEnd {
    waited_at: Option<(Lsn, Timeline)>,
}

impl WalEnd {
    /// The end, or `None` while it cannot be told. Two looks must agree: between two records the startup process may
    /// look as if it waited.
    pub async fn find(&mut self, local: &mut Local) -> Result<Option<(Lsn, Timeline)>, Trouble> {
        let replayed = pg::replay_lsn_and_timeline();
        if receiver::streamed_in_this_life()
            && let Some(flushed) = receiver::flushed_upto()
        {
            return Ok(Some(flushed.max(replayed)));
        }
        let waits = local
            .ask(async |client| {
                client
                    .query_opt(
                        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'startup' \
                         AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')",
                        &[],
                    )
                    .await
            })
            .await?
            .is_some();
        let now = waits.then(pg::replay_lsn_and_timeline);
        let before = std::mem::replace(&mut self.waited_at, now);
        Ok(now.filter(|end| before == Some(*end)))
    }
}

/// The end that this node has pledged with, or has after a restart: it follows nobody, so it stays where it is.
pub async fn end_after_pledge(keeper: &mut Keeper) -> Result<Option<(Lsn, Timeline)>, Trouble> {
    if keeper.pledged_end.is_none() {
        keeper.pledged_end = keeper.wal_end.find(&mut keeper.local).await?;
    }
    Ok(keeper.pledged_end)
}
