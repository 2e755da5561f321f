//! `detach`: once for each connection that leaves the pool, whatever takes it out.

use poolhouse::{Manager, Pool, PoolConfig, PooledConnection};
use poolhouse_deadpool::{Deadpool, Object};

use crate::common::{Failing, Mock, MockPool, pool, settle};

/// What takes the connection out of the pool while nobody holds it.
#[tokio::test(start_paused = true)]
async fn once_for_each_connection_that_leaves_idle() {
    type Act = fn(&MockPool);
    let acts: [(&str, Act); 5] = [
        ("retain", |pool| assert_eq!(pool.retain(|_, _| false), 2)),
        ("invalidate_all", |pool| pool.invalidate_all()),
        ("suspend", |pool| pool.suspend()),
        ("close", |pool| drop(pool.close())),
        ("resize", |pool| pool.resize(1).unwrap()),
    ];
    for (name, act) in acts {
        let mock = Mock::default();
        let pool = pool(&mock, 2);
        drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
        settle().await;
        assert!(mock.state().detached.is_empty(), "{name}: what stays is not detached");
        act(&pool);
        settle().await;
        let mut detached = mock.state().detached.clone();
        detached.sort_unstable();
        let left = usize::from(name == "resize");
        assert_eq!(detached.len(), 2 - left, "{name}");
        drop(pool);
        settle().await;
        let mut detached = mock.state().detached.clone();
        detached.sort_unstable();
        assert_eq!((detached, mock.state().open), (vec![1, 2], 0), "{name}");
    }
}

/// What takes it out as it comes back.
#[tokio::test(start_paused = true)]
async fn once_for_each_connection_that_does_not_stay() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);

    pool.acquire().await.unwrap().invalidate();
    assert_eq!(mock.state().detached, [1]);

    mock.state().fails = Some(Failing::RecycleMessage);
    pool.acquire().await.unwrap().release();
    settle().await;
    assert_eq!(mock.state().detached, [1, 2]);

    let held = pool.acquire().await.unwrap();
    assert!(
        tokio::spawn(async move {
            let _held = held;
            panic!("while it holds a connection");
        })
        .await
        .is_err()
    );
    assert_eq!(mock.state().detached, [1, 2, 3]);
    assert_eq!(mock.state().open, 0);
}

/// What its holder takes out of the pool is detached when it is taken out of its object, or dropped.
#[tokio::test(start_paused = true)]
async fn once_for_what_its_holder_takes() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let object = PooledConnection::detach(pool.acquire().await.unwrap());
    assert!(mock.state().detached.is_empty());
    let mine = Object::take(object);
    assert_eq!((mine.id, mock.state().detached.clone()), (1, vec![1]));
    drop(mine);
    assert_eq!(mock.state().detached, [1], "not once more");

    drop(PooledConnection::detach(pool.acquire().await.unwrap()));
    assert_eq!(mock.state().detached, [1, 2]);
}

/// A connection that the manager has made, and the pool never got: a hook refused it.
#[tokio::test(start_paused = true)]
async fn once_for_what_a_hook_refuses() {
    let mock = Mock::default();
    let refuses = Pool::builder(Deadpool::new(mock.clone()))
        .config(PoolConfig { min_connections: 1, ..PoolConfig::default() })
        .after_connect(|_| Box::pin(async { Err("no such time zone".into()) }))
        .build()
        .unwrap();
    refuses.warm_up().await.unwrap_err();
    assert_eq!(mock.state().detached, [1]);

    // And one that is opened past the pool.
    drop(refuses.manager().connect().await);
    let state = mock.state();
    assert_eq!(state.detached.len(), state.created as usize);
}
