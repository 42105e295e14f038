//! The documentation's commands, run as they stand there.
use regress::page::Page;

#[test]
fn the_tutorial_works() {
    let said = Page::read("README.md").run();
    assert!(said.contains("plum"), "the row written after the kill is on the returned node: {said}");
}

#[test]
fn provisioning() {
    Page::read("docs/provisioning.md").run();
}

#[test]
fn maintenance() {
    Page::read("docs/maintenance.md").run();
}

#[test]
fn monitoring() {
    Page::read("docs/monitoring.md").run();
}

#[test]
fn security() {
    Page::read("docs/security.md").run();
}
