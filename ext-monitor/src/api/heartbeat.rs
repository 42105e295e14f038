//! A keeper's report and its answer. When nothing is new the answer is the one given before, and neither row nor WAL
//! is written: LSN and time go to the board.
use super::arguments::{self, given};
use super::{ask, check_database};
use crate::board::NodeSlot;
use crate::error::Error;
use crate::evaluate::{Scene, evaluate};
use crate::refuse::About;
use crate::store::node::Member;
use crate::store::{failover, group};
use crate::{gucs, notify, pg, session, tell};
use fsm::group::{Group, Session};
use fsm::message::{Assignment, Peer, Promotion, Receiver, Report, Upstream, VERSION};
use fsm::monitor::facts::Health;
use fsm::monitor::{self, resume};
use fsm::password::{self, Password};
use fsm::policy::Policy;
use fsm::state::State;
use fsm::units::{Lsn, Millis, NodeId, RuleNumber, Term, Timeline};
use node_files::identity;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// An answer that stays right while its group's generation does.
pub struct Answer {
    serial: i32,
    /// The group's generation that it belongs to.
    generation: u64,
    /// The report it answers, as [`settled`].
    report: Report,
    policy: Policy,
    lease: Option<Millis>,
    text: String,
}

thread_local! {
    /// One for each node that this backend speaks for.
    static ANSWERS: RefCell<BTreeMap<NodeId, Answer>> = const { RefCell::new(BTreeMap::new()) };
}

/// Keeps an answer whose transaction has committed, with the group's generation by then.
pub fn keep(answer: Answer, generation: u64) {
    let answer = Answer { generation, ..answer };
    ANSWERS.with_borrow_mut(|answers| answers.insert(answer.report.node, answer));
}

/// What of a report has to be the same for the same answer.
fn settled(report: &Report) -> Report {
    // Whether its end of WAL is known at all is news; where it is is not. A first write is told once.
    Report { lsn: report.lsn.map(|_| Lsn(0)), first_write: None, ..report.clone() }
}

const WHAT: &str = "keeper_report";

/// `pgautofailover.keeper_report`: JSON of a [`Report`] in, JSON of an [`Assignment`] out. Runs with the rights of its caller, for
/// PostgreSQL's change of rights and search_path costs more than an answer that was given before.
#[pg_extern(sql = false)]
fn keeper_report(report: Option<&str>) -> String {
    let text = report;
    let report = parse(text);
    ask(&About::heartbeat(WHAT, Some(report.node)), || match again(&report)? {
        Some(answer) => Ok(answer),
        None => answer_as_owner(text),
    })
}

/// Behind it, with the rights of its owner: takes the report in and decides.
#[pg_extern(sql = false)]
fn answer_report(report: Option<&str>) -> String {
    let report = parse(report);
    ask(&About::heartbeat(WHAT, Some(report.node)), || answer(&report))
}

fn parse(report: Option<&str>) -> Report {
    ask(&About::heartbeat(WHAT, None), || {
        check_database()?;
        arguments::report(given(report, "report")?)
    })
}

fn answer_as_owner(report: Option<&str>) -> Result<String, Error> {
    // By `select`, which gives the transaction no number: one that has a number ends with WAL and an fsync, though it changed nothing.
    let call = "SELECT pgautofailover.answer_report($1)";
    let answer = Spi::connect(|client| client.select(call, Some(1), &[report.into()])?.first().get_one())?;
    answer.ok_or_else(|| Error::Internal("answer_report gave no answer".to_owned()))
}

/// The answer given before, when the report, the group and the policy are what they were.
fn again(report: &Report) -> Result<Option<String>, Error> {
    let Some(mine) = session::number_of(report.node).filter(|_| report.first_write.is_none()) else {
        return Ok(None);
    };
    let policy = gucs::policy();
    ANSWERS.with_borrow(|answers| {
        let known = answers.get(&report.node);
        let Some(answer) = known.filter(|answer| answer.policy == policy && answer.report == settled(report))
        else {
            return Ok(None);
        };
        let now = pg::now();
        let stands = pg::board(|board| {
            let settled = board.group(answer.serial).is_some_and(|group| {
                !group.under_evaluation && !group.unsettled && group.generation == answer.generation
            });
            // Whoever was not well is evaluated, so that it is told of that it is.
            let mine = |slot: &&mut NodeSlot| slot.session_number == mine && slot.health_told == Health::Good;
            let Some(slot) = board.node(report.node).filter(|slot| settled && mine(slot)) else {
                return false;
            };
            slot.heard = Some(now);
            slot.lsn = report.lsn;
            if let (Some(lease), Some(group)) = (answer.lease, board.group(answer.serial)) {
                group.granted_until = group.granted_until.max(now.plus(lease).plus(policy.margin));
            }
            true
        })?;
        Ok(stands.then(|| answer.text.clone()))
    })
}

fn answer(report: &Report) -> Result<String, Error> {
    let serial = group::of_node(report.node)?;
    let ((), scene) = evaluate(serial, |scene| {
        session::open(report.node)?;
        hear(scene, report, Session::Up)?;
        report.first_write.map_or(Ok(()), |first| failover::first_write(serial, report.node, first))
    })?;
    let assignment = assignment(&scene, report)?;
    if let Some(lease) = assignment.lease {
        pg::board(|board| {
            if let Some(group) = board.group(serial) {
                group.granted_until =
                    group.granted_until.max(scene.now.plus(lease).plus(scene.policy.margin));
            }
        })?;
    }
    let text = serde_json::to_string(&assignment)?;
    scene.remember(Answer {
        serial,
        generation: 0,
        report: settled(report),
        policy: scene.policy,
        lease: assignment.lease,
        text: text.clone(),
    });
    Ok(text)
}

/// Takes a report in: what decisions need into the group, the rest into the node's description.
fn hear(scene: &mut Scene, report: &Report, session: Session) -> Result<(), Error> {
    let identifier = report.system_identifier.cast_signed();
    if identifier != 0 {
        check_cluster(scene, report.node, identifier)?;
    }
    let member = scene.member_mut(report.node).ok_or(Error::UnknownNode(report.node))?;
    if identifier != 0 {
        member.system_identifier = identifier;
    }
    member.note.clone_from(&report.note);
    if member.passwords != report.passwords {
        // Others may have waited for that.
        member.passwords = report.passwords;
        scene.news = true;
    }
    let (id, now) = (report.node, scene.now);
    let found_out = |scene: &Scene| scene.group.node(id).and_then(|node| node.old_image);
    let before = found_out(scene);
    if !scene.group.behind && resume::knows_more(&scene.group, report) {
        resume::await_everybody(&mut scene.group, identity::fresh_number());
        tell::knows_more(scene, id)?;
    }
    scene.group.hear(report, session, now);
    match found_out(scene).filter(|image| before != Some(*image)) {
        Some(_) => tell::old_image(scene, id, report.boot),
        None => Ok(()),
    }
}

/// All nodes of a group are copies of one cluster: `node` must have the identifier that the others have.
pub fn check_cluster(scene: &Scene, node: NodeId, identifier: i64) -> Result<(), Error> {
    let known = |member: &&Member| member.id != node && member.system_identifier != 0;
    match scene.members.iter().filter(known).find(|member| member.system_identifier != identifier) {
        None => Ok(()),
        Some(other) => Err(Error::OtherCluster {
            node: node.to_string(),
            theirs: identifier,
            ours: other.system_identifier,
        }),
    }
}

fn peer(scene: &Scene, id: NodeId) -> Option<Peer> {
    scene.member(id).map(|member| Peer { node: id, host: member.host.clone(), port: member.port })
}

fn assignment(scene: &Scene, report: &Report) -> Result<Assignment, Error> {
    let draft = monitor::assignment(&scene.group, report.node, &scene.policy, scene.now);
    let Some(draft) = draft else {
        // The rules have just let it go: this is the last that it hears from us.
        return Ok(blank(report.node, State::Dropped, scene.group.term, scene.serial));
    };
    let blank = Assignment {
        epoch: scene.group.epoch,
        succeeds: scene.group.succeeds.clone(),
        incomplete: draft.incomplete,
        ..blank(report.node, draft.goal, draft.term, scene.serial)
    };
    if draft.incomplete {
        return Ok(blank);
    }
    let upstream = draft.upstream.and_then(|upstream| {
        Some(Upstream {
            peer: peer(scene, upstream.node)?,
            term: upstream.term,
            timeline: upstream.timeline,
            fork: upstream.fork,
            rewindable: upstream.rewindable,
            reach: upstream.reach,
        })
    });
    let others = scene.group.nodes.iter().filter(|node| node.id != report.node);
    Ok(Assignment {
        lease: draft.lease,
        rule: draft.rule,
        offer: draft.offer,
        upstream,
        elected: draft.elected,
        count_on_from: draft.count_on_from,
        peers: others.filter_map(|node| peer(scene, node.id)).collect(),
        replication_password: replication_password(scene, report),
        monitor_password: scene
            .stored
            .node_password
            .clone()
            .filter(|newest| newest.number != report.passwords.monitor),
        ..blank
    })
}

fn replication_password(scene: &Scene, report: &Report) -> Option<Password> {
    let newest = &scene.stored.replication_password;
    let writer =
        scene.group.writer().filter(|writer| writer.id != report.node && scene.group.election.is_none());
    let writer_holds =
        writer.and_then(|writer| scene.member(writer.id)).map(|member| member.passwords.replication);
    let due = password::is_due(newest.number, report.passwords.replication, writer_holds);
    due.then(|| newest.clone())
}

fn blank(node: NodeId, goal: State, term: Term, serial: i32) -> Assignment {
    Assignment {
        version: VERSION,
        node,
        goal,
        term,
        lease: None,
        rule: fsm::rule::Rule::default(),
        offer: None,
        upstream: None,
        elected: None,
        peers: Vec::new(),
        incomplete: false,
        epoch: 0,
        succeeds: Default::default(),
        count_on_from: None,
        channel: notify::channel(serial),
        replication_password: None,
        monitor_password: None,
    }
}

/// Behind `pgautofailover.node_active`: tools and tests tell a state and an LSN; the rest of the report is what a keeper
/// of ours would say in that state. No session, so no lease.
#[pg_extern(sql = false)]
fn hear_tool(node_id: i64, state: &str, is_running: bool, timeline: i32, lsn: &str, rep_state: &str) {
    ask(&About::heartbeat("node_active", Some(NodeId(node_id))), || {
        check_database()?;
        let id = NodeId(node_id);
        let state = arguments::state(state)?;
        let lsn: Lsn = lsn.parse().map_err(|error| Error::BadReport(format!("\"{lsn}\": {error}")))?;
        let timeline = Timeline(u32::try_from(timeline).unwrap_or(0));
        let rep_state = arguments::rep_state(rep_state)?;
        evaluate(group::of_node(id)?, |scene| {
            let report = what_a_keeper_would_say(&scene.group, id, state, timeline, lsn);
            let session = scene.group.node(id).map(|node| node.session).unwrap_or_default();
            hear(scene, &report, session)?;
            if let Some(member) = scene.member_mut(id) {
                member.pg_is_running = is_running;
                member.rep_state = rep_state.to_owned();
            }
            Ok(())
        })?;
        Ok(())
    });
}

fn what_a_keeper_would_say(group: &Group, id: NodeId, state: State, timeline: Timeline, lsn: Lsn) -> Report {
    let before = group.node(id);
    let elected = group.election.as_ref().filter(|election| election.winner == Some(id));
    let promoted = elected.filter(|_| state == State::PreparePromotion);
    let in_hand = group.next_rule.as_ref().filter(|next| !next.offered).map(|next| &next.rule);
    let rule = match promoted {
        Some(election) => election.rule.number,
        None if state.writes() => in_hand.unwrap_or(&group.rule).number,
        None => RuleNumber(0),
    };
    let follows_recorded = state.writes() || state.follows();
    let streaming = group.nodes.iter().filter(|node| node.id != id && node.reported.follows());
    Report {
        term: group.term,
        pledge: if state == State::ReportLsn {
            group.term
        } else {
            before.map(|node| node.pledge).unwrap_or_default()
        },
        history: match (follows_recorded, group.reign()) {
            (true, Some(reign)) => reign.term,
            (true | false, _) => before.map(|node| node.history).unwrap_or_default(),
        },
        timeline,
        lsn: Some(lsn),
        promotion: match promoted {
            Some(election) => Some(Promotion { term: election.term, timeline, switch_lsn: lsn }),
            None if state.follows() => None,
            None => before.and_then(|node| node.promotion),
        },
        rule,
        accepts: group
            .next_rule
            .as_ref()
            .filter(|next| next.offered && state.writes())
            .map(|next| next.rule.number),
        checkpoint_timeline: timeline,
        receiver: match state {
            State::CatchingUp | State::Secondary => Receiver::Streaming,
            State::ReportLsn => Receiver::Lost,
            State::Unknown | State::Init | State::Single | State::WaitPrimary | State::Primary => {
                Receiver::None
            }
            State::Draining | State::DemoteTimeout | State::Demoted | State::PreparePromotion => {
                Receiver::None
            }
            State::StopReplication | State::WaitStandby | State::Maintenance | State::JoinPrimary => {
                Receiver::None
            }
            State::ApplySettings | State::PrepareMaintenance | State::WaitMaintenance => Receiver::None,
            State::FastForward | State::JoinSecondary | State::Dropped => Receiver::None,
        },
        followers: if state.writes() { streaming.map(|node| node.id).collect() } else { Default::default() },
        in_recovery: !state.writes() && state != State::Draining && promoted.is_none(),
        fenced: !state.writes(),
        ..Report::of(id, state)
    }
}
