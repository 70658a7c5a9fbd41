//! A cluster that grows from one member to five and shrinks to one again, while clients write to it.

use std::time::Duration;

use crate::cluster::{Cluster, Member, exited_with};
use crate::writers::Writers;

/// How many write at once.
const WRITERS: usize = 3;

/// How many writes each number of members has to answer.
const WRITES_MIN: usize = 30;

/// As few members as the settings allow; who is taken out does not come back by itself while this lasts.
const SMALL_AND_CALM: &str = r#"{"activeSize":3,"syncInterval":600}"#;

/// A member that is told to stop has done so within this time.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Under writes to whoever is a member at the time. The leader is the one to go where somebody has to.
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
    let three = wait_for_the_chosen(&cluster);
    check_members(&cluster, &writers, &three);

    // Stopped first, then taken out.
    let gone = cluster.wait_for_leader(three[0]);
    cluster.members[gone].signal("-TERM");
    let status = cluster.members[gone].end(STOP_MAX).expect("it stops");
    assert!(exited_with(status, 0), "{status:?}");
    let two = without(&three, gone);
    take_out(&cluster, two[0], gone);
    check_members(&cluster, &writers, &two);

    // Taken out while it leads and lives.
    let gone = cluster.wait_for_leader(two[0]);
    let one = without(&two, gone);
    take_out(&cluster, one[0], gone);
    check_members(&cluster, &writers, &one);

    let written = writers.stop();
    let last = one[0];
    written.check_at(&cluster, last);
    // It needs nobody to begin again.
    cluster.members[last].kill();
    cluster.members[last].start();
    cluster.wait_for_size(last, 1);
    written.check_at(&cluster, last);
}

/// Start machines until there are `size`, all at once.
fn grow(cluster: &mut Cluster, writers: &Writers, size: usize) {
    for member in cluster.members[..size].iter_mut().filter(|m| !m.runs()) {
        member.start();
    }
    let all: Vec<_> = (0..size).collect();
    check_members(cluster, writers, &all);
}

/// Wait until three of five are left as members; which.
fn wait_for_the_chosen(cluster: &Cluster) -> Vec<usize> {
    let is_chosen = |number: usize, member: &Member| {
        let members = member.members();
        members.len() == 3 && members.contains(&format!("m{number}"))
    };
    let decided = |number, member: &Member| member.stands_by() || is_chosen(number, member);
    // They go one after the other, each in its time.
    for left in [4, 3] {
        cluster.wait_for(0, |member| {
            member.stands_by() || member.members().len() <= left
        });
    }
    (0..5).for_each(|number| cluster.wait_for(number, |member| decided(number, member)));
    let chosen = (0..5).filter(|number| is_chosen(*number, &cluster.members[*number]));
    chosen.collect()
}

/// Have `asked` take `gone` out, through the administration page. It says no while it has not heard of the
/// others for a moment, and is asked again.
fn take_out(cluster: &Cluster, asked: usize, gone: usize) {
    let page = format!("/v2/admin/machines/m{gone}");
    cluster.wait_for(asked, |member| {
        let answer = member.administer("DELETE", &page, "");
        answer.is_ok_and(|answer| [200, 404].contains(&answer.status))
    });
}

/// Check that exactly these are members: each says so, votes and serves, the page of each names them all,
/// and the others were stopped, not started yet, or stand by. From then on they are written to.
fn check_members(cluster: &Cluster, writers: &Writers, numbers: &[usize]) {
    let names: Vec<_> = numbers.iter().map(|number| format!("m{number}")).collect();
    for (number, member) in cluster.members.iter().enumerate() {
        if numbers.contains(&number) {
            cluster.wait_for_size(number, numbers.len());
            assert_eq!(member.members(), names, "as m{number} says");
        } else if member.runs() {
            cluster.wait_for(number, Member::stands_by);
        }
    }
    let addresses = numbers.iter().map(|number| cluster.members[*number].client);
    writers.aim(addresses.collect());
    let before = writers.answered();
    cluster.wait_for(numbers[0], |_| writers.answered() >= before + WRITES_MIN);
}

fn without(numbers: &[usize], gone: usize) -> Vec<usize> {
    let left = numbers.iter().copied().filter(|number| *number != gone);
    left.collect()
}
