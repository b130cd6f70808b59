use std::collections::BTreeMap;

use super::*;
use crate::Dealer;

const HAND: Queuing = Queuing { dealer: Dealer::one_each(), length: 100 };

impl Dealer {
    /// A flow's number is its queue.
    const fn one_each() -> Self {
        Self::raw(64, 1)
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Serves flows that each keep so many requests waiting, for a simulated time; gives the seat-milliseconds of each.
fn simulate(limit: u32, flows: &[(u64, u32, Work, u64)]) -> BTreeMap<u64, u64> {
    let mut queues: Queues<(usize, u64)> = Queues::new(WhenFull::Queue(HAND), limit);
    let mut running: Vec<(u64, usize, Ticket)> = Vec::new();
    let mut served = BTreeMap::new();
    let arrive = |queues: &mut Queues<_>, running: &mut Vec<_>, which: usize, now: u64| {
        let (flow, _, work, lasts) = flows[which];
        match queues.arrive(millis(now), flow, work, || (which, lasts)) {
            Arrival::Runs(ticket) => running.push((now + lasts, which, ticket)),
            Arrival::Waits { .. } => {}
            Arrival::Refused(reason) => panic!("{reason:?}"),
        }
    };
    for (which, flow) in flows.iter().enumerate() {
        for _ in 0..flow.1 {
            arrive(&mut queues, &mut running, which, 0);
        }
    }
    for now in 0..3000 {
        let (ended, goes_on): (Vec<_>, Vec<_>) = running.into_iter().partition(|(ends, ..)| *ends == now);
        running = goes_on;
        for (_, which, ticket) in ended {
            assert_eq!(queues.finish(millis(now), &ticket), None);
            let (flow, _, work, lasts) = flows[which];
            *served.entry(flow).or_insert(0) += u64::from(work.seats()) * lasts;
            arrive(&mut queues, &mut running, which, now);
        }
        for ((which, lasts), ticket) in queues.dispatch(millis(now)) {
            running.push((now + lasts, which, ticket));
        }
        assert!(queues.counts().seats <= limit.max(10));
    }
    served
}

#[test]
fn flows_get_the_same_however_much_each_asks_for() {
    let served = simulate(4, &[(1, 90, Work::ONE, 5), (2, 6, Work::ONE, 5), (3, 20, Work::ONE, 20)]);
    let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
    assert!(most - least < most / 10, "{served:?}");
    assert!(served.values().sum::<u64>() > 3000 * 4 * 9 / 10, "{served:?}");
}

#[test]
fn wide_requests_count_by_their_seats() {
    let wide = Work { initial: 4, ..Work::ONE };
    let served = simulate(8, &[(1, 20, wide, 5), (2, 40, Work::ONE, 5)]);
    let (one, two) = (served[&1], served[&2]);
    assert!(one.abs_diff(two) < one / 5, "{served:?}");
}

#[test]
fn a_request_wider_than_all_seats_runs_alone() {
    let served = simulate(2, &[(1, 3, Work { initial: 5, ..Work::ONE }, 5), (2, 20, Work::ONE, 5)]);
    assert!(served.values().all(|seats| *seats > 1000), "{served:?}");
}

#[test]
fn a_full_queue_turns_away_and_one_that_leaves_makes_room() {
    let queuing = Queuing { dealer: Dealer::one_each(), length: 2 };
    let mut queues: Queues<u32> = Queues::new(WhenFull::Queue(queuing), 1);
    let now = Duration::ZERO;
    let Arrival::Runs(ticket) = queues.arrive(now, 7, Work::ONE, || 0) else { panic!("it runs") };
    let Arrival::Waits { id, length: 1 } = queues.arrive(now, 7, Work::ONE, || 1) else { panic!("it waits") };
    let Arrival::Waits { length: 2, .. } = queues.arrive(now, 7, Work::ONE, || 2) else { panic!("it waits") };
    assert_eq!(queues.arrive(now, 7, Work::ONE, || 3), Arrival::Refused(Reason::QueueFull));
    assert!(queues.leave(now, id));
    assert!(!queues.leave(now, id));
    let Arrival::Waits { length: 2, .. } = queues.arrive(now, 7, Work::ONE, || 4) else { panic!("it waits") };
    assert!(queues.dispatch(now).is_empty());
    queues.finish(millis(1), &ticket);
    let started: Vec<u32> = queues.dispatch(millis(1)).into_iter().map(|(waiter, _)| waiter).collect();
    assert_eq!(started, [2]);
    let counts = queues.counts();
    assert_eq!((counts.waiting, counts.executing, counts.seats), (1, 1, 1));
}

#[test]
fn without_queues_what_finds_no_seat_is_turned_away() {
    let mut queues: Queues<()> = Queues::new(WhenFull::Reject, 2);
    let now = Duration::ZERO;
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let Arrival::Runs(ticket) = queues.arrive(now, 0, Work::ONE, || ()) else { panic!("it runs") };
        tickets.push(ticket);
    }
    assert_eq!(queues.arrive(now, 0, Work::ONE, || ()), Arrival::Refused(Reason::ConcurrencyLimit));
    queues.finish(now, &tickets[0]);
    assert!(matches!(queues.arrive(now, 0, Work::ONE, || ()), Arrival::Runs(_)));
}

#[test]
fn the_exempt_always_run() {
    let mut queues: Queues<()> = Queues::new(WhenFull::Run, 0);
    for _ in 0..1000 {
        assert!(matches!(queues.arrive(Duration::ZERO, 0, Work::ONE, || ()), Arrival::Runs(_)));
    }
    assert_eq!(queues.period(Duration::from_secs(1)).highest, 1000.0);
}

#[test]
fn seats_stay_taken_for_what_a_change_sets_off() {
    let mut queues: Queues<()> = Queues::new(WhenFull::Queue(HAND), 3);
    let change = Work { initial: 1, after: 3, lasts: millis(20), watchers: None };
    let Arrival::Runs(ticket) = queues.arrive(Duration::ZERO, 1, change, || ()) else { panic!("it runs") };
    assert_eq!(queues.finish(millis(5), &ticket), Some(millis(20)));
    assert!(matches!(queues.arrive(millis(6), 2, Work::ONE, || ()), Arrival::Waits { .. }));
    queues.release(millis(25), &ticket);
    assert_eq!(queues.dispatch(millis(25)).len(), 1);
}

#[test]
fn more_seats_let_more_run_at_once() {
    let mut queues: Queues<u64> = Queues::new(WhenFull::Queue(HAND), 1);
    for flow in 0..5 {
        queues.arrive(Duration::ZERO, flow, Work::ONE, || flow);
    }
    let started: Vec<u64> = queues.limit(millis(1), 4).into_iter().map(|(flow, _)| flow).collect();
    assert_eq!(started, [1, 2, 3]);
}

#[test]
fn an_idle_level_keeps_nothing() {
    let mut queues: Queues<()> = Queues::new(WhenFull::Queue(HAND), 10);
    for flow in 0..1000 {
        let Arrival::Runs(ticket) = queues.arrive(millis(flow), flow, Work::ONE, || ()) else {
            panic!("it runs")
        };
        queues.finish(millis(flow), &ticket);
    }
    assert_eq!(queues.each().count(), 0);
}

#[test]
fn progress_and_use_are_told() {
    let mut queues: Queues<u32> = Queues::new(WhenFull::Queue(HAND), 1);
    let Arrival::Runs(first) = queues.arrive(millis(0), 0, Work::ONE, || 0) else { panic!("it runs") };
    for flow in [1, 2, 2] {
        let arrival = queues.arrive(millis(0), flow, Work::ONE, || 1);
        assert!(matches!(arrival, Arrival::Waits { .. }));
    }
    let progress = queues.progress();
    assert_eq!((progress.changed, progress.dispatched, progress.latest), (0.0, 0.0, 0.0));
    assert_eq!((progress.next, progress.discounted), (Some((0.0, 0.0)), Some((0.0, 0.0))));
    assert_eq!(queues.finish(millis(90), &first), None);
    let started = queues.dispatch(millis(90));
    assert_eq!(started.len(), 1);
    // One seat was shared by three queues for ninety milliseconds.
    let progress = queues.progress();
    assert!(
        (progress.changed - 0.03).abs() < 1e-9 && progress.dispatched == progress.changed,
        "{progress:?}"
    );
    assert_eq!(progress.latest, 0.0);
    let mut text = String::new();
    queues.used.taken.write(millis(100), &mut text, "taken", "x=\"y\"");
    queues.used.wanted.write(millis(100), &mut text, "wanted", "x=\"y\"");
    queues.used.waiting.write(millis(100), &mut text, "waiting", "x=\"y\"");
    for line in [
        "taken_bucket{x=\"y\",le=\"0.99\"} 0",
        "taken_bucket{x=\"y\",le=\"1\"} 100000000",
        "wanted_bucket{x=\"y\",le=\"2.8\"} 0",
        "wanted_bucket{x=\"y\",le=\"4\"} 100000000",
        // Three and two of the 6400 that may wait.
        "waiting_bucket{x=\"y\",le=\"0\"} 0",
        "waiting_bucket{x=\"y\",le=\"0.001\"} 100000000",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
}
