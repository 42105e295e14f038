//! The roles that standbys and the health probe log in as.
use super::{Outcome, Trouble};
use crate::tick::Keeper;
use node_files::hba::PROBE_ROLE;
use node_files::secrets::REPLICATION_ROLE;
use node_files::{Secrets, verifier};
use postgres_protocol::password;

/// What pg_rewind calls on its source (its documentation lists them).
const FOR_REWIND: [&str; 4] = [
    "pg_catalog.pg_ls_dir(text, boolean, boolean)",
    "pg_catalog.pg_stat_file(text, boolean)",
    "pg_catalog.pg_read_binary_file(text)",
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// Looks, and writes only what is missing: on most ticks nothing.
pub async fn ensure(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    if keeper.accounts_made {
        return Ok(Outcome::Done);
    }
    let rows = keeper
        .local
        .ask(async |client| {
            client
                .query(
                    "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY ($1::text[])",
                    &[&vec![REPLICATION_ROLE, PROBE_ROLE]],
                )
                .await
        })
        .await?;
    let found = |role: &str| rows.iter().find(|row| row.get::<_, &str>(0) == role);
    let mut commands = Vec::new();
    if found(PROBE_ROLE).is_none() {
        commands.push(format!("CREATE ROLE {PROBE_ROLE} LOGIN"));
    }
    if found(REPLICATION_ROLE).is_none() {
        commands.push(format!("CREATE ROLE {REPLICATION_ROLE} LOGIN REPLICATION"));
    }
    let secret = Secrets::read(keeper.memory.dir())?.replication_password;
    let kept: Option<&str> = found(REPLICATION_ROLE).and_then(|row| row.get(1));
    if let Some(secret) = &secret
        && !kept.is_some_and(|kept| verifier::proves(secret, kept))
    {
        // Only the verifier crosses SQL, so that no log can hold the password. Sessions that stand do not notice.
        let verifier = password::scram_sha_256(secret.as_bytes());
        commands.push(format!("ALTER ROLE {REPLICATION_ROLE} PASSWORD '{verifier}'"));
    }
    for function in FOR_REWIND {
        commands.push(format!("GRANT EXECUTE ON FUNCTION {function} TO {REPLICATION_ROLE}"));
    }
    // One simple query is one transaction.
    let script = commands.join("; ");
    keeper.local.ask(async |client| client.batch_execute(&script).await).await?;
    keeper.accounts_made = secret.is_some();
    Ok(Outcome::Done)
}
