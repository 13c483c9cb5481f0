//! The policy as a file for people to read before it is loaded.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use super::merge::{self, Learned};
use super::seen::{Seen, short};
use super::{Learner, Refusal};
use crate::event::text::escaped;

pub(super) fn policy(learner: &Learner) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _infallible = write(&mut text, learner);
    text
}

fn write(out: &mut String, learner: &Learner) -> fmt::Result {
    let taken = learner.rules.iter().map(|rule| rule.id.as_str()).collect();
    let rules = merge::rules(&learner.actors, &taken);
    let (refused, learned): (Vec<_>, Vec<_>) =
        rules.into_iter().partition(|learned| learned.refused.is_some());
    head(out, learner)?;
    let own = learner.config.own_yaml();
    out.push_str(&own);
    if learned.is_empty() {
        writeln!(out, "# Nothing was learned: no access was seen that is not allowed already, or refused.")?;
    } else if !own.contains("\nallow:\n") {
        writeln!(out, "allow:")?;
    }
    for one in &learned {
        comments(out, "  ", one)?;
        out.push_str(&one.rule.to_yaml());
    }
    tail(out, learner, &refused)
}

fn head(out: &mut String, learner: &Learner) -> fmt::Result {
    let counts = learner.counts();
    let nodes: Vec<_> = learner.nodes.iter().map(|node| short(&escaped(node))).collect();
    let on = if nodes.is_empty() { String::new() } else { format!(" on {}", nodes.join(", ")) };
    let mut seen = Seen::default();
    let uses = learner.actors.values().flat_map(|actor| actor.uses.values()).chain(learner.refused.values());
    uses.for_each(|one| seen.merge(one.clone()));
    writeln!(out, "# Learned by `bypassd learn`{on}: {} accesses{}", counts.accesses, span(&seen))?;
    writeln!(
        out,
        "# Each rule allows what was seen and no more. Read them, and take out what you do not expect."
    )?;
    if counts.lost > 0 {
        writeln!(out, "# Incomplete: {} accesses or events were lost meanwhile.", counts.lost)?;
    }
    if counts.left_out > 0 {
        writeln!(
            out,
            "# Incomplete: {} accesses are left out, there were too many actors.",
            counts.left_out
        )?;
    }
    Ok(())
}

fn span(seen: &Seen) -> String {
    let Seen { first: Some(first), last: Some(last), .. } = seen else { return ".".to_owned() };
    if first == last { format!(" at {first:.0}.") } else { format!(" from {first:.0} to {last:.0}.") }
}

/// Why the rule is there, and why it is as it is.
fn comments(out: &mut String, indent: &str, learned: &Learned) -> fmt::Result {
    let Learned { rule, uses, .. } = learned;
    for ((class, group), seen) in uses {
        writeln!(out, "{indent}# {class} {}: {}: {}", group.name(), seen.times(), seen.example())?;
    }
    let mut all = Seen::default();
    uses.values().for_each(|seen| all.merge(seen.clone()));
    if !all.pods.is_empty() {
        let pods: Vec<_> = all.pods.iter().map(String::as_str).collect();
        let more = if all.more_pods { " and more" } else { "" };
        writeln!(out, "{indent}# in {}{more}", pods.join(", "))?;
    }
    if rule.container.iter().flat_map(|container| &container.pod).any(|pod| pod.to_string().contains('*')) {
        let what = "what follows is the node's name or what the API server makes up";
        writeln!(out, "{indent}# The pod is a pattern: {what}, and namespace and image say which it is.")?;
    }
    if rule.container.as_ref().is_some_and(|container| container.image.is_empty()) {
        writeln!(out, "{indent}# Its image is not known, so that the pod is this very one.")?;
    }
    if learned.is_any_call() {
        writeln!(out, "{indent}# The script came with other arguments every time, so that it may have any.")?;
    } else if !rule.process.args.is_empty() {
        let what = "the program does what they say, so that without them anything would be allowed";
        writeln!(out, "{indent}# With arguments: {what}. See that no password is among them.")?;
    }
    Ok(())
}

/// What is not allowed, and why.
fn tail(out: &mut String, learner: &Learner, refused: &[Learned]) -> fmt::Result {
    if !refused.is_empty() {
        writeln!(
            out,
            "\n# Refused, because it looks like an attack. What is expected can be moved up, or learned with"
        )?;
        writeln!(out, "# --include-suspicious.")?;
    }
    for one in refused {
        writeln!(out, "#\n# Why: {}.", one.refused.unwrap_or_default())?;
        comments(out, "", one)?;
        one.rule.to_yaml().lines().try_for_each(|line| writeln!(out, "#{line}"))?;
    }
    if learner.refused.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n# Refused, because no rule can allow it:")?;
    let reasons: BTreeSet<_> = learner.refused.keys().map(|refusal| refusal.why).collect();
    for why in reasons {
        writeln!(out, "#\n# Why: {why}.")?;
        for (Refusal { class, action, who, .. }, seen) in
            learner.refused.iter().filter(|(one, _)| one.why == why)
        {
            let class = class.name();
            writeln!(out, "# {class} {action} by {who}: {}: {}", seen.times(), seen.example())?;
        }
    }
    Ok(())
}
