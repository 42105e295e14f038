//! For the worker: what was refused is told once the refused transaction is over.
use super::run;
use crate::refuse;
use pgrx::prelude::*;

/// `pgautofailover.tell_refusals`: makes events of what was refused since; the worker calls it.
#[pg_extern(sql = false)]
fn tell_refusals() {
    run(|| {
        super::check_database()?;
        refuse::tell_all()
    });
}
