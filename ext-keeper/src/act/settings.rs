//! The few settings that the keeper changes, with ALTER SYSTEM, and only when they differ.
use super::Trouble;
use crate::local::Local;
use std::collections::BTreeMap;

/// Every setting that the keeper may change. Nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Whom to follow.
    PrimaryConninfo,
    /// The slot on it.
    PrimarySlotName,
    /// The rule.
    SynchronousStandbyNames,
    /// Tells one rule from another in the processes that read them; written after it.
    RuleNumber,
    /// May have been copied from elsewhere.
    DefaultTransactionReadOnly,
}

impl Key {
    const ALL: [Key; 5] = [
        Key::PrimaryConninfo,
        Key::PrimarySlotName,
        Key::SynchronousStandbyNames,
        Key::RuleNumber,
        Key::DefaultTransactionReadOnly,
    ];

    fn name(self) -> &'static str {
        match self {
            Key::PrimaryConninfo => "primary_conninfo",
            Key::PrimarySlotName => "primary_slot_name",
            Key::SynchronousStandbyNames => "synchronous_standby_names",
            Key::RuleNumber => "pg_autoctl.rule_number",
            Key::DefaultTransactionReadOnly => "default_transaction_read_only",
        }
    }
}

/// What `postgresql.auto.conf` says of our settings, as far as this worker knows.
#[derive(Default)]
pub struct Settings {
    known: Option<BTreeMap<Key, String>>,
}

impl Settings {
    /// Forgets what was read: somebody else may have changed it.
    pub fn forget(&mut self) {
        self.known = None;
    }

    /// What stands there now.
    pub async fn value(&mut self, local: &mut Local, key: Key) -> Result<Option<String>, Trouble> {
        let known = match self.known.take() {
            Some(known) => known,
            None => read(local).await?,
        };
        Ok(self.known.insert(known).get(&key).cloned())
    }

    /// Makes the settings so (`None`: not set there), in this order, and has the server read them when one changed. Whether one did.
    pub async fn make(
        &mut self,
        local: &mut Local,
        wanted: &[(Key, Option<String>)],
    ) -> Result<bool, Trouble> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => read(local).await?,
        };
        let differing: Vec<&(Key, Option<String>)> =
            wanted.iter().filter(|(key, value)| known.get(key) != value.as_ref()).collect();
        for (key, value) in &differing {
            let command = match value {
                Some(value) => format!("ALTER SYSTEM SET {} = '{}'", key.name(), value.replace('\'', "''")),
                None => format!("ALTER SYSTEM RESET {}", key.name()),
            };
            local.ask(async |client| client.batch_execute(&command).await).await?;
            match value {
                Some(value) => known.insert(*key, value.clone()),
                None => known.remove(key),
            };
        }
        if !differing.is_empty() {
            local.ask(async |client| client.batch_execute("SELECT pg_reload_conf()").await).await?;
        }
        self.known = Some(known);
        Ok(!differing.is_empty())
    }
}

async fn read(local: &mut Local) -> Result<BTreeMap<Key, String>, Trouble> {
    let rows = local
        .ask(async |client| {
            client
                .query(
                    "SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%/postgresql.auto.conf' AND setting IS NOT NULL",
                    &[],
                )
                .await
        })
        .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let (name, value): (String, String) = (row.get(0), row.get(1));
        if let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) {
            known.insert(key, value);
        }
    }
    Ok(known)
}
