//! The passwords that the monitor makes: each group's for replication (`group_state`), and that of the nodes' own role here
//! (`node_password`). Numbers begin with the time of day, so that two monitors never give one number to two passwords.
use super::{fetch, write};
use crate::error::Error;
use crate::pg;
use fsm::password::Password;
use pgrx::JsonB;
use postgres_protocol::password::scram_sha_256;

/// The role of the nodes.
const NODE_ROLE: &str = "autoctl_node";

/// SQL for the number of a password that is made now.
pub const FRESH_NUMBER: &str = "extract(epoch FROM pg_catalog.clock_timestamp())::bigint";

/// 192 random bits, in letters that need no quotes anywhere.
pub fn fresh() -> Result<String, Error> {
    Ok(pg::strong_random::<24>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Gives a group, which is locked, a new password.
pub fn rotate_of_group(serial: i32) -> Result<Password, Error> {
    write(
        &format!(
            "UPDATE pgautofailover.group_state
                SET replication_password = $2,
                    replication_password_number = greatest(replication_password_number + 1, {FRESH_NUMBER})
              WHERE groupserial = $1"
        ),
        &[serial.into(), fresh()?.into()],
    )?;
    let made: Option<JsonB> = fetch(
        "SELECT jsonb_build_object('number', replication_password_number, 'text', replication_password)
           FROM pgautofailover.group_state WHERE groupserial = $1",
        &[serial.into()],
    )?;
    let JsonB(made) = made.ok_or(Error::UnknownGroup(serial))?;
    Ok(serde_json::from_value(made)?)
}

/// Makes a new password for the nodes' role, unless one is on its way already.
pub fn rotate_of_nodes() -> Result<(), Error> {
    write(
        &format!(
            "INSERT INTO pgautofailover.node_password AS w (number, password) VALUES ({FRESH_NUMBER}, $1)
             ON CONFLICT (only_row) DO UPDATE
                SET number = greatest(w.number + 1, excluded.number), password = excluded.password, in_force = false
              WHERE w.in_force"
        ),
        &[fresh()?.into()],
    )
}

/// The newest one of the nodes' role, and whether the role has it. The row is locked to the end of the transaction.
pub fn of_nodes() -> Result<Option<(Password, bool)>, Error> {
    write("SELECT 1 FROM pgautofailover.node_password FOR UPDATE", &[])?;
    let newest: Option<JsonB> = fetch(
        "SELECT jsonb_build_array(jsonb_build_object('number', number, 'text', password), in_force)
           FROM pgautofailover.node_password",
        &[],
    )?;
    Ok(newest.map(|JsonB(value)| serde_json::from_value(value)).transpose()?)
}

/// The nodes that do not hold it, by name.
pub fn without(password: &Password) -> Result<Vec<String>, Error> {
    let names: Option<Vec<String>> = fetch(
        "SELECT pg_catalog.array_agg(nodename ORDER BY nodeid) FROM pgautofailover.node_state
          WHERE monitor_password_number <> $1 AND goalstate <> 'dropped'",
        &[password.number.0.cast_signed().into()],
    )?;
    Ok(names.unwrap_or_default())
}

/// From now on the nodes' role has this password. Only its verifier crosses SQL.
pub fn put_in_force(password: &Password) -> Result<(), Error> {
    let verifier = scram_sha_256(password.text.as_bytes());
    write(&format!("ALTER ROLE {NODE_ROLE} PASSWORD '{verifier}'"), &[])?;
    write("UPDATE pgautofailover.node_password SET in_force = true", &[])
}
