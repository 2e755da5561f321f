//! Who is served, and when: `acquire.fifo`, `acquire.race`, `try_acquire.immediate`.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio::time::Instant;

use crate::common::{Mock, Step, config, ms, poll_once, pool, settle};

/// acquire.fifo: a release serves the waiter before the releaser can come again.
#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_a_waiter_that_is_not_yet_awake() {
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());

    drop(held);
    let mut newcomer = pin!(pool.acquire());
    assert!(poll_once(newcomer.as_mut()).await.is_pending(), "the newcomer overtook");
    assert!(pool.try_acquire().is_none(), "try_acquire overtook");
    let Poll::Ready(Ok(_served)) = poll_once(waiter.as_mut()).await else {
        panic!("the waiter was passed over")
    };
}

/// acquire.fifo: a task that releases and acquires in a loop cannot starve a waiter. In bb8 0.9.1 one took
/// 238 turns while another waited 500 ms and gave up.
#[tokio::test(start_paused = true)]
async fn a_greedy_loop_does_not_starve_a_waiter() {
    let pool = pool(&Mock::ok(), config(1));
    let rounds = Arc::new(Mutex::new(0));
    let greedy = tokio::spawn({
        let (pool, rounds) = (pool.clone(), Arc::clone(&rounds));
        async move {
            loop {
                let held = pool.acquire().await.unwrap();
                tokio::task::yield_now().await;
                *rounds.lock().unwrap() += 1;
                drop(held);
            }
        }
    });
    settle().await;
    for _ in 0..10 {
        let before = *rounds.lock().unwrap();
        let served = pool.acquire().await.unwrap();
        let after = *rounds.lock().unwrap();
        assert!(before > 0 && after - before <= 2, "{} rounds passed one waiter", after - before);
        drop(served);
        settle().await;
    }
    greedy.abort();
}

/// acquire.fifo: arrival order, over connections that return and connections that are new.
#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_arrival_order() {
    let mock = Mock::ok().script([30, 10, 20].map(|time| Step::Slow(ms(time))));
    let pool = pool(&mock, config(3));
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (pool, served) = (pool.clone(), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let connection = pool.acquire().await.unwrap();
            served.lock().unwrap().push(number);
            tokio::time::sleep(ms(7 + number % 5)).await;
            // Some do not come back, so that later ones get new connections.
            if number % 4 == 0 {
                connection.invalidate();
            }
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..40).collect::<Vec<_>>());
    assert!(mock.attempts().len() > 3, "no new connection was opened on the way");
}

/// acquire.fifo: one who leaves the queue moves up those behind, in order.
#[tokio::test(start_paused = true)]
async fn leaving_the_queue_keeps_the_order_of_the_rest() {
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    let mut third = Box::pin(pool.acquire());
    for waiter in [&mut first, &mut second, &mut third] {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    drop(second);
    drop(held);
    assert!(poll_once(third.as_mut()).await.is_pending());
    let Poll::Ready(Ok(held)) = poll_once(first.as_mut()).await else { panic!("the first was passed over") };
    assert!(poll_once(third.as_mut()).await.is_pending());
    drop(held);
    assert!(matches!(poll_once(third.as_mut()).await, Poll::Ready(Ok(_))));
}

/// acquire.race: a returned connection ends the wait, and the connect that it made needless is kept.
#[tokio::test(start_paused = true)]
async fn a_waiter_takes_a_returned_connection_before_a_slow_new_one() {
    let mock = Mock::ok().script([Step::Ok, Step::Slow(ms(500))]);
    let pool = pool(&mock, config(2));
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    settle().await;
    assert_eq!(pool.stats().connecting, 1);

    let begin = Instant::now();
    drop(held);
    let served = waiter.await.unwrap();
    assert_eq!((served.id, begin.elapsed()), (1, ms(0)));

    tokio::time::sleep(ms(501)).await;
    let stats = pool.stats();
    assert_eq!((stats.active_connections, stats.idle_connections), (1, 1), "the surplus is kept");
    assert_eq!((mock.attempts().len(), mock.peak()), (2, 2), "the surplus is not repeated");
}

/// acquire.race: a new connection ends the wait while the holder holds on.
#[tokio::test(start_paused = true)]
async fn a_waiter_takes_a_new_connection_before_a_slow_holder() {
    let mock = Mock::ok().script([Step::Ok, Step::Slow(ms(50))]);
    let pool = pool(&mock, config(2));
    let _held = pool.acquire().await.unwrap();
    let begin = Instant::now();
    let served = pool.acquire().await.unwrap();
    assert_eq!(served.id, 2);
    assert!(begin.elapsed() >= ms(50) && begin.elapsed() < ms(60));
}

/// acquire.race: many waiters, few places: surplus connects stay within `max_connecting` and the maximum.
#[tokio::test(start_paused = true)]
async fn connects_for_waiters_stay_within_bounds() {
    let mock = Mock::new(Step::Slow(ms(100)));
    let pool = pool(&mock, poolhouse::PoolConfig { max_connecting: 3, ..config(5) });
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { drop(pool.acquire().await.unwrap()) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    tokio::time::sleep(ms(500)).await;
    assert_eq!(mock.take_connecting_peak(), 3);
    assert!(mock.peak() <= 5 && mock.attempts().len() <= 5, "{} attempts", mock.attempts().len());
}

/// try_acquire.immediate: nothing idle gives nothing, and starts nothing. It needs no runtime.
#[test]
fn try_acquire_does_no_io_and_needs_no_runtime() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(2));
    assert!(pool.try_acquire().is_none());
    assert_eq!((mock.attempts().len(), pool.stats().failed_acquisitions), (0, 0));
}

/// try_acquire.immediate: it takes what is idle, without a connect or a check.
#[tokio::test(start_paused = true)]
async fn try_acquire_takes_what_is_idle() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(2));
    drop(pool.acquire().await.unwrap());
    let taken = pool.try_acquire().expect("one is idle");
    assert!(pool.try_acquire().is_none(), "there is room, but opening is not its business");
    settle().await;
    assert_eq!((taken.id, mock.attempts().len(), mock.checks()), (1, 1, 0));
}

/// The order of the idle: the last returned by default, the longest idle when asked for.
/// Option `idle_order`.
#[tokio::test(start_paused = true)]
async fn the_idle_order_says_which_idle_connection_is_next() {
    for (idle_order, expected) in [(poolhouse::IdleOrder::Lifo, 2), (poolhouse::IdleOrder::Fifo, 1)] {
        let pool = pool(&Mock::ok(), poolhouse::PoolConfig { idle_order, ..config(2) });
        let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        drop(first);
        drop(second);
        assert_eq!(pool.acquire().await.unwrap().id, expected, "{idle_order:?}");
    }
}
