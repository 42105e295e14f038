//! The files that a node keeps beside its PGDATA.
