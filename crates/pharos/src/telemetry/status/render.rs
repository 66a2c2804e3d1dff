//! A [`Picture`] as text for one screen: objects with their conditions, then replicas, then exports.
//! What needs a look stands first; of the rest a few are shown and the others counted. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{ComponentState, ComponentStatus};

use super::age::{ago, until};
use super::picture::{Object, Picture, Replica, ReplicaState};
use crate::table::{Table, printable};

mod exports;

use exports::exports;

/// How many replicas are shown unless all are asked for.
const FEW: usize = 10;
/// How many characters of a message are shown.
const LONGEST_MESSAGE: usize = 160;

/// How many replicas are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Those that need a look, and some of the others.
    Few,
    /// Every one.
    All,
}

/// The picture as it was at `now`.
pub(super) fn text(picture: &Picture, shown: Shown, now: Timestamp) -> String {
    let mut text = head(picture, now);
    for object in &picture.objects {
        text.push('\n');
        text.push_str(&self::object(object, now));
    }
    let count = match shown {
        Shown::All => picture.replicas.len(),
        Shown::Few => picture.replicas.len().min(FEW),
    };
    let (replicas, rest) = picture.replicas.split_at(count);
    for table in [self::replicas(picture, replicas, now), exports(picture, replicas, now)] {
        if !table.is_empty() {
            let _ = write!(text, "\n{}", table.text(""));
        }
    }
    if !rest.is_empty() {
        let bad = rest.iter().filter(|replica| replica.needs_a_look()).count();
        let bad = match bad {
            0 => "none of which needs a look".to_owned(),
            bad => format!("{bad} of which need a look"),
        };
        let _ = writeln!(text, "\nand {} more replicas, {bad}; --all shows every one", rest.len());
    }
    text
}

fn head(picture: &Picture, now: Timestamp) -> String {
    let Picture { namespace, leader, objects, replicas } = picture;
    let renewed = |renewed: &Option<Timestamp>| {
        renewed.map(|it| format!(", renewed {} ago", ago(it, now))).unwrap_or_default()
    };
    let leader = leader.as_ref().and_then(|it| Some((it.identity.as_ref()?, &it.renewed)));
    let leader = match leader {
        Some((identity, time)) => format!("leader {}{}", cut(identity), renewed(time)),
        None => "no leader: nobody writes status".to_owned(),
    };
    let (objects_count, replicas_count) =
        (counted(objects.len(), "TelemetryConfig"), counted(replicas.len(), "replica"));
    let mut text = format!("Namespace {namespace}: {objects_count}, {replicas_count}; {leader}\n");
    if replicas.iter().any(|replica| replica.state == ReplicaState::Defaults) {
        text.push_str(
            "Where no TelemetryConfig decides, the command line's defaults run: metrics for \
             Prometheus to scrape, no traces, no logs.\n",
        );
    }
    text
}

fn object(object: &Object, now: Timestamp) -> String {
    let Object { name, generation, programmed_replicas, .. } = object;
    let replicas = programmed_replicas.as_deref().unwrap_or("no replica has said whether it");
    let mut text = format!("{name}, generation {generation}: {replicas} programmed\n");
    if object.observed_generation != Some(*generation) {
        text.push_str("  the leader has not judged this generation yet\n");
    }
    if let Some(error) = &object.undecodable {
        let _ = writeln!(text, "  cannot be decoded: {}", cut(error));
    }
    let mut conditions = Table::new(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in &object.conditions {
        conditions.row([
            condition.r#type.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            ago(condition.last_transition_time, now),
            cut(&condition.message),
        ]);
    }
    if !conditions.is_empty() {
        text.push_str(&conditions.text("  "));
    }
    for entry in &object.components {
        let _ = writeln!(text, "  {}", component(entry));
    }
    if let Some(expiry) = object.next_certificate_expiry {
        let _ = writeln!(text, "  the next certificate expires {} ({expiry})", until(expiry, now));
    }
    text
}

fn component(entry: &ComponentStatus) -> String {
    let ComponentStatus { component, state, by, reason, replicas_programmed, replicas_live } =
        entry;
    let component = component.as_str();
    match state {
        ComponentState::Active => {
            format!("decides for {component}: {replicas_programmed}/{replicas_live} replicas")
        }
        ComponentState::Overridden => {
            let by = by.as_ref().map(|by| format!(" by {}", cut(by))).unwrap_or_default();
            let reason = reason.map(|reason| format!(" ({reason:?})")).unwrap_or_default();
            format!("overridden for {component}{by}{reason}")
        }
    }
}

fn replicas(picture: &Picture, shown: &[Replica], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "REPLICA",
        "COMPONENTS",
        "RUNS",
        "STATE",
        "GENERATION",
        "HASH",
        "SEEN",
        "MESSAGE",
    ]);
    for replica in shown {
        let components: Vec<_> = replica.components.iter().map(|it| it.as_str()).collect();
        let runs = match (&replica.config, replica.state) {
            (Some(config), _) => config.clone(),
            (None, ReplicaState::Defaults) => "(defaults)".to_owned(),
            (None, _) => String::new(),
        };
        let seen = replica.renewed.map(|renewed| format!("{} ago", ago(renewed, now)));
        table.row([
            replica.name.clone(),
            components.join(","),
            runs,
            format!("{:?}", replica.state),
            generation(replica, picture),
            replica.config_hash.clone().unwrap_or_default(),
            seen.unwrap_or_default(),
            cut(&replica.message),
        ]);
    }
    table
}

fn generation(replica: &Replica, picture: &Picture) -> String {
    let Some(generation) = replica.generation else { return String::new() };
    let wanted = picture.objects.iter().find(|it| Some(&it.name) == replica.config.as_ref());
    match wanted {
        Some(object) if object.generation != generation => {
            format!("{generation} of {}", object.generation)
        }
        _ => generation.to_string(),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// One line, of a bounded length.
fn cut(message: &str) -> String {
    let line = printable(message);
    if line.chars().count() <= LONGEST_MESSAGE {
        return line;
    }
    let kept: String = line.chars().take(LONGEST_MESSAGE - 3).collect();
    kept + "..."
}

#[cfg(test)]
mod tests;
