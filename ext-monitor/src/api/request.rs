//! What an operator asks of one node: found, told as an event, carried out by a function of `fsm::monitor::operate`.
use super::check_database;
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::store::group;
use crate::tell;
use fsm::group::Group;
use fsm::monitor::operate::Refusal;
use fsm::policy::Policy;
use fsm::units::{Moment, NodeId};

/// A request to a node.
pub struct Request<'a> {
    /// The function, for the event.
    pub function: &'a str,
    /// What it is, for the sentence "… is not possible now".
    pub what: &'static str,
}

impl Request<'_> {
    /// Carries it out by `change`. None: no such node.
    pub fn of<T>(
        &self,
        id: NodeId,
        change: impl FnOnce(&mut Group, &Policy, Moment) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Error> {
        check_database()?;
        let serial = match group::of_node(id) {
            Err(Error::UnknownNode(_)) => return Ok(None),
            other => other?,
        };
        let evaluated = evaluate(serial, |scene| {
            tell::command(scene, Some(id), self.function)?;
            let (policy, now) = (scene.policy, scene.now);
            match change(&mut scene.group, &policy, now) {
                Ok(done) => Ok(Some(done)),
                Err(Refusal::NoSuchNode) => Ok(None),
                Err(why) => Err(Error::Refused { what: self.what, why }),
            }
        });
        match evaluated {
            Ok((done, _)) => Ok(done),
            // Its formation was dropped in this moment.
            Err(Error::UnknownGroup(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
