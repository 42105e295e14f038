//! The table `formation`.
use super::{fetch, write};
use crate::error::Error;

/// That the formation exists; it cannot be dropped while this transaction runs.
pub fn hold(formation: &str) -> Result<(), Error> {
    write(
        "SELECT 1 FROM pgautofailover.formation WHERE formationid = $1 FOR KEY SHARE",
        &[formation.into()],
    )?;
    let found: Option<i32> =
        fetch("SELECT 1 FROM pgautofailover.formation WHERE formationid = $1", &[formation.into()])?;
    found.map(|_| ()).ok_or_else(|| Error::UnknownFormation(formation.to_owned()))
}
