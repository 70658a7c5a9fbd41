//! A cluster that grows from one to five members and shrinks to one again under writes.

use std::time::Duration;

use crate::cluster::{Cluster, Member, exited_with};
use crate::writers::Writers;

/// Number of writers.
const WRITERS: usize = 3;

/// Number of writes at each cluster size.
const WRITES_MIN: usize = 30;

/// The fewest members that the settings allow; removed members do not come back during the test.
const SMALL_AND_CALM: &str = r#"{"activeSize":3,"syncInterval":600}"#;

/// Maximum time of a stop.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Writes go to the current members. Where a member has to leave, it is the leader.
#[test]
fn from_one_to_five_and_back_under_writes() {
    let mut cluster = Cluster::prepare(5, &[]);
    cluster.members[0].start();
    cluster.wait_for_size(0, 1);
    let writers = Writers::start(WRITERS, vec![cluster.members[0].client]);
    check_members(&cluster, &writers, &[0]);
    grow(&mut cluster, &writers, 3);
    grow(&mut cluster, &writers, 5);

    cluster.configure(4, SMALL_AND_CALM);
    let three = wait_for_removals(&cluster);
    check_members(&cluster, &writers, &three);

    // Stopped, then removed.
    let gone = cluster.wait_for_leader(three[0]);
    cluster.members[gone].signal("-TERM");
    let status = cluster.members[gone].end(STOP_MAX).expect("it stops");
    assert!(exited_with(status, 0), "{status:?}");
    let two = without(&three, gone);
    remove_member(&cluster, two[0], gone);
    check_members(&cluster, &writers, &two);

    // Removed while it runs and leads.
    let gone = cluster.wait_for_leader(two[0]);
    let one = without(&two, gone);
    remove_member(&cluster, one[0], gone);
    check_members(&cluster, &writers, &one);

    let written = writers.stop();
    let last = one[0];
    written.check_at(&cluster, last);
    // It needs no other member to start.
    cluster.members[last].kill();
    cluster.members[last].start();
    cluster.wait_for_size(last, 1);
    written.check_at(&cluster, last);
}

/// Start hosts until there are `size` members, all at once.
fn grow(cluster: &mut Cluster, writers: &Writers, size: usize) {
    for member in cluster.members[..size]
        .iter_mut()
        .filter(|m| !m.is_running())
    {
        member.start();
    }
    let all: Vec<_> = (0..size).collect();
    check_members(cluster, writers, &all);
}

/// Wait until three of five members are left. Returns their numbers.
fn wait_for_removals(cluster: &Cluster) -> Vec<usize> {
    let is_chosen = |number: usize, member: &Member| {
        let members = member.members();
        members.len() == 3 && members.contains(&format!("m{number}"))
    };
    let decided = |number, member: &Member| member.is_standby() || is_chosen(number, member);
    // They are removed one after the other.
    for left in [4, 3] {
        cluster.wait_for(0, |member| {
            member.is_standby() || member.members().len() <= left
        });
    }
    (0..5).for_each(|number| cluster.wait_for(number, |member| decided(number, member)));
    let chosen = (0..5).filter(|number| is_chosen(*number, &cluster.members[*number]));
    chosen.collect()
}

/// Remove the member `gone` through `asked`. Repeated while the answer is that too few members are reachable.
fn remove_member(cluster: &Cluster, asked: usize, gone: usize) {
    let page = format!("/v2/admin/machines/m{gone}");
    cluster.wait_for(asked, |member| {
        let answer = member.request_peer("DELETE", &page, "");
        answer.is_ok_and(|answer| [200, 404].contains(&answer.status))
    });
}

/// Check that exactly these are members: each is a voter, serves, and lists all of them; the others are stopped,
/// not started, or standbys. From then on, writes go to them.
fn check_members(cluster: &Cluster, writers: &Writers, numbers: &[usize]) {
    let names: Vec<_> = numbers.iter().map(|number| format!("m{number}")).collect();
    for (number, member) in cluster.members.iter().enumerate() {
        if numbers.contains(&number) {
            cluster.wait_for_size(number, numbers.len());
            assert_eq!(member.members(), names, "as m{number} says");
        } else if member.is_running() {
            cluster.wait_for(number, Member::is_standby);
        }
    }
    let addresses = numbers.iter().map(|number| cluster.members[*number].client);
    writers.set_addresses(addresses.collect());
    let before = writers.answered();
    cluster.wait_for(numbers[0], |_| writers.answered() >= before + WRITES_MIN);
}

fn without(numbers: &[usize], gone: usize) -> Vec<usize> {
    let left = numbers.iter().copied().filter(|number| *number != gone);
    left.collect()
}
