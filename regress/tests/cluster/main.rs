//! Situations on real servers, a file each.
mod bad_input;
mod drop_node;
mod first_start;
mod hba;
mod monitor_away;
mod primary_killed;
mod rejoin_by_clone;
mod rights;
mod rotation;
mod secrets_hidden;
mod standby_lost;
mod state_and_events;
mod stopped_primary;
mod stranger;
mod switchover;
mod tls;
mod tls_certificates;
