//! Prepared statements that a connection keeps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use crate::watch::Watch;

/// The statements of one connection, by text and types. When it is full, the one goes that has not been used for longest.
#[derive(Debug)]
pub(crate) struct StatementCache {
    kept: Mutex<Kept>,
    most: usize,
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Kept {
    /// By text, so that a look needs no copy of it.
    by_text: HashMap<String, Vec<One>>,
    count: usize,
    uses: u64,
}

struct One {
    types: Vec<Type>,
    statement: Statement,
    used: u64,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("count", &self.count).finish()
    }
}

impl StatementCache {
    pub(crate) fn new(most: usize, watch: Arc<Watch>) -> Self {
        Self { kept: Mutex::default(), most, watch }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn prepare(
        &self,
        client: &Client,
        query: &str,
        types: &[Type],
    ) -> Result<Statement, Error> {
        // The server has refused one of them since: after a change of the schema, or a DEALLOCATE.
        if self.watch.take_stale_statements() {
            self.clear();
        }
        if let Some(statement) = self.with(|kept| kept.get(query, types)) {
            return Ok(statement);
        }
        let statement = client.prepare_typed(query, types).await?;
        if self.most > 0 {
            let gone = self.with(|kept| kept.insert((query, types), statement.clone(), self.most));
            // Outside of the lock: dropping a statement sends a message.
            drop(gone);
        }
        Ok(statement)
    }

    pub(crate) fn len(&self) -> usize {
        self.with(|kept| kept.count)
    }

    pub(crate) fn clear(&self) {
        let gone = self.with(std::mem::take);
        drop(gone);
    }
}

impl Kept {
    fn get(&mut self, query: &str, types: &[Type]) -> Option<Statement> {
        self.uses += 1;
        let one = self.by_text.get_mut(query)?.iter_mut().find(|one| one.types == types)?;
        one.used = self.uses;
        Some(one.statement.clone())
    }

    /// Returns what has to go for it.
    fn insert(&mut self, (query, types): (&str, &[Type]), statement: Statement, most: usize) -> Option<One> {
        let gone = if self.count >= most { self.remove_oldest() } else { None };
        self.uses += 1;
        self.count += 1;
        let one = One { types: types.to_vec(), statement, used: self.uses };
        self.by_text.entry(query.to_owned()).or_default().push(one);
        gone
    }

    fn remove_oldest(&mut self) -> Option<One> {
        let all = self.by_text.iter();
        let (text, _) = all
            .filter_map(|(text, kept)| Some((text, kept.iter().map(|one| one.used).min()?)))
            .min_by_key(|(_, used)| *used)?;
        let text = text.clone();
        let kept = self.by_text.get_mut(&text)?;
        let (at, _) = kept.iter().enumerate().min_by_key(|(_, one)| one.used)?;
        let gone = kept.swap_remove(at);
        if kept.is_empty() {
            self.by_text.remove(&text);
        }
        self.count -= 1;
        Some(gone)
    }
}
