use std::num::NonZeroUsize;

use super::*;
use crate::signal::Signal;

fn batch(queue: usize, export: usize) -> Batch {
    Batch {
        max_queue_size: NonZeroUsize::new(queue).unwrap(),
        max_export_size: NonZeroUsize::new(export).unwrap(),
        schedule_delay: Duration::from_secs(5),
    }
}

fn queue(batch: Batch) -> (Queue<u32>, Arc<Stats>) {
    let stats = Arc::<Stats>::default();
    (Queue::new(batch, Arc::clone(&stats)), stats)
}

fn push(queue: &Queue<u32>, records: impl IntoIterator<Item = u32>) {
    for record in records {
        assert_eq!(queue.push(Arc::new(record)), Pushed::Settled);
    }
}

fn request(items: u64) -> Request {
    Request { signal: Signal::Traces, body: Vec::new().into(), items }
}

fn taken(queue: &Queue<u32>) -> Vec<u32> {
    match queue.next() {
        Some(Next::Encode(records)) => records.into_iter().map(|record| *record).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_record_is_dropped_and_counted_when_the_queue_is_full() {
    let (queue, stats) = queue(batch(3, 2));
    push(&queue, 0..5);
    assert_eq!(stats.read().items_dropped["queue_full"], 2);
    assert_eq!(stats.read().items_queued, 3);
    assert_eq!(taken(&queue), [0, 1]);
    assert_eq!(taken(&queue), [2]);
    assert!(queue.next().is_none());
}

#[test]
fn what_is_on_its_way_still_counts() {
    let (queue, stats) = queue(batch(3, 2));
    push(&queue, 0..3);
    assert_eq!(taken(&queue).len(), 2);
    push(&queue, [3]);
    assert_eq!(stats.read().items_dropped["queue_full"], 1, "two of three are on their way");
    queue.settled(&request(2));
    push(&queue, [4, 5]);
    assert_eq!(stats.read().items_dropped["queue_full"], 1);
    assert_eq!(stats.read().items_queued, 3);
}

#[test]
fn a_queue_that_shrinks_keeps_what_it_holds() {
    let (queue, stats) = queue(batch(8, 8));
    push(&queue, 0..8);
    queue.configure(batch(2, 2));
    push(&queue, [8]);
    assert_eq!(stats.read().items_dropped["queue_full"], 1);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.extend(taken(&queue));
        queue.settled(&request(2));
    }
    assert_eq!(all, (0..8).collect::<Vec<_>>());
    push(&queue, [9]);
    assert_eq!(taken(&queue), [9]);
}

#[test]
fn what_comes_back_goes_before_what_waits() {
    let (queue, _) = queue(batch(8, 1));
    push(&queue, 0..2);
    assert_eq!(taken(&queue), [0]);
    queue.give_back(request(1)).unwrap();
    assert!(matches!(queue.next(), Some(Next::Send(_))));
    assert_eq!(taken(&queue), [1]);
}

#[test]
fn the_end_says_what_is_lost_and_refuses_what_comes_after_it() {
    let (queue, stats) = queue(batch(8, 2));
    push(&queue, 0..6);
    // Of six, two are on their way, two came back, and two wait.
    assert_eq!(taken(&queue).len() + taken(&queue).len(), 4);
    queue.give_back(request(2)).unwrap();
    queue.close();
    assert_eq!(queue.push(Arc::new(6)), Pushed::Closed);
    assert_eq!(queue.end(), 4);
    assert_eq!(stats.read().items_queued, 2, "the ones that are on their way");
    assert_eq!(queue.give_back(request(2)), Err(TooLate(request(2))));
    queue.settled(&request(2));
    assert_eq!(stats.read().items_queued, 0);
    assert_eq!(queue.push(Arc::new(7)), Pushed::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once_and_less_of_it_after_the_delay() {
    let (queue, _) = queue(batch(8, 2));
    let began = Instant::now();
    push(&queue, [0]);
    queue.ready().await;
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    push(&queue, [1]);
    queue.ready().await;
    assert_eq!(began.elapsed(), Duration::from_secs(5), "two make a batch");
    assert_eq!(taken(&queue).len(), 2);
    queue.give_back(request(2)).unwrap();
    queue.ready().await;
    assert_eq!(began.elapsed(), Duration::from_secs(5), "a request waits for nothing");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_of_a_record_and_of_another_delay() {
    let (queue, _) = queue(batch(8, 8));
    let queue = Arc::new(queue);
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.ready().await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    push(&queue, [0]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    queue.configure(batch(1, 1));
    waiting.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1), "one is a batch now");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_woke_a_sender_which_leaves_is_not_forgotten() {
    let queue = Arc::new(queue(batch(10, 5)).0);
    let waiting = || {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.ready().await })
    };
    let (leaving, next) = (waiting(), waiting());
    // Both wait for the first record, in this order.
    tokio::task::yield_now().await;
    push(&queue, [1]);
    tokio::task::yield_now().await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    queue.pass_on();
    tokio::time::timeout(Duration::from_secs(60), next).await.unwrap().unwrap();
    assert_eq!(taken(&queue), [1]);
}

#[tokio::test]
async fn the_last_sender_learns_what_others_have_on_their_way() {
    let (queue, _) = queue(batch(10, 2));
    assert_eq!(queue.others().await, Others::Settled);
    push(&queue, 0..2);
    taken(&queue);
    queue.close();
    assert_eq!(queue.on_their_way(), 2);
    let waiting = async { tokio::join!(queue.others(), async { queue.give_back(request(2)) }) };
    assert_eq!(waiting.await, (Others::GaveBack, Ok(())));
    assert_eq!(queue.on_their_way(), 0, "it is here");
    assert!(matches!(queue.next(), Some(Next::Send(_))));
    let waiting = async { tokio::join!(queue.others(), async { queue.settled(&request(2)) }) };
    assert_eq!(waiting.await.0, Others::Settled);
}
