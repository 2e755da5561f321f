//! A migrator behind PgBouncer in transaction mode, whose lock belongs to a
//! session that it does not have.

use test_servers::PgBouncer;

use super::{ask, client, say, server, url};
use crate::contestants::AnyError;

const HOLDER: &str = "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory'";

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    let proxy = PgBouncer::start(&server, &[("app", "secret")], &[])?;
    let direct = client(&server.url()).await?;
    let through = url(proxy.port());
    let mut text = String::from("== a lock of the session\n");
    let (first, second, other) =
        (client(&through).await?, client(&through).await?, client(&through).await?);
    let lock = "SELECT pg_try_advisory_lock(7)";
    text += &format!(
        "the first migrator gets the lock: {}\n",
        say(&first, lock).await?
    );
    text += &format!("the second gets it too: {}\n", say(&second, lock).await?);
    ask(&second, "SELECT pg_advisory_unlock(7)").await?;
    // Somebody else has the server connection when the first one is done.
    other.batch_execute("BEGIN").await?;
    text += &format!(
        "the first one's unlock finds it: {}\n",
        say(&first, "SELECT pg_advisory_unlock(7)").await?
    );
    other.batch_execute("ROLLBACK").await?;
    drop((first, second, other));
    text += &format!(
        "all of them have gone; the next one gets the lock: {}\n",
        say(&direct, lock).await?
    );
    text += &format!(
        "its holder in pg_stat_activity is {}\n",
        say(&direct, HOLDER).await?
    );

    text += "== a lock of the transaction\n";
    let (first, second) = (client(&through).await?, client(&through).await?);
    let lock = "BEGIN; SELECT pg_try_advisory_xact_lock(8)";
    text += &format!(
        "the first migrator gets the lock: {}\n",
        say(&first, lock).await?
    );
    text += &format!("the second gets it too: {}\n", say(&second, lock).await?);
    first.batch_execute("COMMIT").await?;
    second.batch_execute("ROLLBACK").await?;
    let lock = "SELECT pg_try_advisory_lock(8)";
    text +=
        &format!("the next one, after the commit: {}\n", say(&direct, lock).await?);
    Ok(text)
}
