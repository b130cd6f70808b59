//! The queue's promises, under paused time.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::{Instant, advance, timeout};

use super::*;

fn queue() -> WorkQueue<&'static str> {
    WorkQueue::new("test")
}

/// Takes what is ready now, without letting time pass.
async fn take(queue: &WorkQueue<&'static str>) -> Option<&'static str> {
    tokio::select! {
        biased;
        key = queue.next() => key,
        () = tokio::task::yield_now() => None,
    }
}

#[tokio::test(start_paused = true)]
async fn hands_out_a_key_once_however_often_it_was_added() {
    let queue = queue();
    queue.add("a");
    queue.add("b");
    queue.add("a");
    assert_eq!(take(&queue).await, Some("a"));
    assert_eq!(take(&queue).await, Some("b"));
    assert_eq!(take(&queue).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_hand_comes_again_only_after_done() {
    let queue = queue();
    queue.add("a");
    assert_eq!(take(&queue).await, Some("a"));
    queue.add("a");
    queue.add("a");
    assert_eq!(take(&queue).await, None);
    queue.done(&"a");
    assert_eq!(take(&queue).await, Some("a"));
    queue.done(&"a");
    assert_eq!(take(&queue).await, None);
}

#[tokio::test(start_paused = true)]
async fn of_two_delays_the_shorter_counts_and_the_key_comes_once() {
    let queue = queue();
    let start = Instant::now();
    queue.add_after("a", Duration::from_secs(10));
    queue.add_after("a", Duration::from_secs(2));
    queue.add_after("a", Duration::from_secs(5));
    assert_eq!(queue.next().await, Some("a"));
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    queue.done(&"a");
    assert!(timeout(Duration::from_secs(60), queue.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn waits_double_from_5_ms_to_1000_s_until_forgotten() {
    let queue = queue();
    let mut waits = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        queue.add_rate_limited("a");
        assert_eq!(queue.next().await, Some("a"));
        queue.done(&"a");
        waits.push(start.elapsed().as_millis() as u64);
    }
    assert_eq!(&waits[..4], [5, 10, 20, 40]);
    assert_eq!(&waits[17..], [655_360, 1_000_000, 1_000_000]);
    queue.forget(&"a");
    assert_eq!(queue.failures(&"a"), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_come_in_the_order_in_which_they_became_due() {
    let queue = queue();
    queue.add_after("late", Duration::from_millis(30));
    queue.add_after("early", Duration::from_millis(10));
    queue.add("now");
    advance(Duration::from_millis(20)).await;
    queue.add("then");
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(queue.next().await.unwrap());
    }
    assert_eq!(order, ["now", "then", "early", "late"]);
}

#[tokio::test(start_paused = true)]
async fn several_takers_share_the_work_and_all_end_when_closed() {
    let queue = queue();
    // Each round is over only when all three hold a key.
    let (round, finished) = (Barrier::new(3), Cell::new(0));
    let taker = async || {
        let mut taken = 0;
        while let Some(key) = queue.next().await {
            round.wait().await;
            queue.done(&key);
            taken += 1;
            finished.set(finished.get() + 1);
            if finished.get() == 6 {
                queue.close();
            }
        }
        taken
    };
    for key in ["a", "b", "c", "d", "e", "f"] {
        queue.add_after(key, Duration::from_millis(1));
    }
    let takers = futures::future::join_all([taker(), taker(), taker()]);
    let counts: Vec<usize> = timeout(Duration::from_secs(1), takers).await.unwrap();
    assert_eq!(counts, [2, 2, 2]);
    queue.add("g");
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn superseded_deadlines_do_not_pile_up() {
    let queue = queue();
    for step in (1..10_000).rev() {
        queue.add_after("a", Duration::from_secs(step));
    }
    assert!(queue.shared.state.lock().deadlines.len() < 100);
}
