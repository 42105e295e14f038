//! Situations, as scripts: what happens, and which rules fire.
mod flapping;
mod images;
mod operators;
mod pair;
mod resume;
mod scene;
mod three_nodes;
mod ways_out;

#[test]
fn every_rule_fires_in_a_scenario() {
    let scenarios = [
        include_str!("flapping.rs"),
        include_str!("images.rs"),
        include_str!("operators.rs"),
        include_str!("pair.rs"),
        include_str!("resume.rs"),
        include_str!("three_nodes.rs"),
        include_str!("ways_out.rs"),
    ]
    .concat();
    let untold: Vec<&str> = fsm::monitor::RULES
        .iter()
        .map(|rule| rule.name)
        .filter(|name| !scenarios.contains(&format!("\"{name}\"")))
        .collect();
    assert!(untold.is_empty(), "no scenario tells of {untold:?}");
}
