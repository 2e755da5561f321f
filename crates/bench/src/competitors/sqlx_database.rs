//! What sqlx calls a database, as far as its pool needs one: it connects and answers pings. Rows, values and
//! statements have no values, so nothing that would ask for one can be called.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use log::LevelFilter;
use sqlx_core::arguments::{Arguments, IntoArguments};
use sqlx_core::column::{Column, ColumnIndex};
use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::database::Database;
use sqlx_core::encode::Encode;
use sqlx_core::error::BoxDynError;
use sqlx_core::from_row::FromRow;
use sqlx_core::query::Query;
use sqlx_core::query_as::QueryAs;
use sqlx_core::query_scalar::QueryScalar;
use sqlx_core::row::Row;
use sqlx_core::sql_str::SqlStr;
use sqlx_core::statement::Statement;
use sqlx_core::transaction::{Transaction, TransactionManager};
use sqlx_core::type_info::TypeInfo;
use sqlx_core::types::Type;
use sqlx_core::value::{Value, ValueRef};
use sqlx_core::{Either, Error, Url};

use crate::competitor::Source;

const NO_SQL: &str = "this database is never asked anything";

#[derive(Debug)]
pub struct Unasked<S>(PhantomData<fn() -> S>);

impl<S: Source> Database for Unasked<S> {
    type Connection = Opened<S>;
    type TransactionManager = Unasked<S>;
    type Row = Nothing<S>;
    type QueryResult = ();
    type Column = Nothing<S>;
    type TypeInfo = Nothing<S>;
    type Value = Nothing<S>;
    type ValueRef<'r> = Nothing<S>;
    type Arguments = NoArguments<S>;
    type ArgumentBuffer = ();
    type Statement = Nothing<S>;
    const NAME: &'static str = "unasked";
    const URL_SCHEMES: &'static [&'static str] = &["unasked"];
}

#[derive(Debug)]
pub struct Opened<S: Source>(pub(super) S::Connection);

impl<S: Source> Connection for Opened<S> {
    type Database = Unasked<S>;
    type Options = Options<S>;

    async fn close(self) -> Result<(), Error> {
        Ok(())
    }

    async fn close_hard(self) -> Result<(), Error> {
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Error> {
        if S::is_open(&mut self.0) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        }
    }

    async fn begin(&mut self) -> Result<Transaction<'_, Unasked<S>>, Error> {
        Err(no_sql())
    }

    fn shrink_buffers(&mut self) {}

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn should_flush(&self) -> bool {
        false
    }
}

pub struct Options<S>(pub(super) Arc<S>);

impl<S> Clone for Options<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Options<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Options")
    }
}

impl<S> FromStr for Options<S> {
    type Err = Error;

    fn from_str(_: &str) -> Result<Self, Error> {
        Err(no_sql())
    }
}

impl<S: Source> ConnectOptions for Options<S> {
    type Connection = Opened<S>;

    fn from_url(_: &Url) -> Result<Self, Error> {
        Err(no_sql())
    }

    async fn connect(&self) -> Result<Opened<S>, Error> {
        Ok(Opened(self.0.open().await?))
    }

    fn log_statements(self, _: LevelFilter) -> Self {
        self
    }

    fn log_slow_statements(self, _: LevelFilter, _: std::time::Duration) -> Self {
        self
    }
}

impl<S: Source> TransactionManager for Unasked<S> {
    type Database = Self;

    async fn begin(_: &mut Opened<S>, _: Option<SqlStr>) -> Result<(), Error> {
        Err(no_sql())
    }

    async fn commit(_: &mut Opened<S>) -> Result<(), Error> {
        Err(no_sql())
    }

    async fn rollback(_: &mut Opened<S>) -> Result<(), Error> {
        Err(no_sql())
    }

    fn start_rollback(_: &mut Opened<S>) {}

    fn get_transaction_depth(_: &Opened<S>) -> usize {
        0
    }
}

fn no_sql() -> Error {
    Error::Io(io::Error::other(NO_SQL))
}

pub struct NoArguments<S>(PhantomData<fn() -> S>);

impl<S> Default for NoArguments<S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<S: Source> Arguments for NoArguments<S> {
    type Database = Unasked<S>;

    fn reserve(&mut self, _: usize, _: usize) {}

    fn add<'t, T: Encode<'t, Unasked<S>> + Type<Unasked<S>>>(&mut self, _: T) -> Result<(), BoxDynError> {
        Err(NO_SQL.into())
    }

    fn len(&self) -> usize {
        0
    }
}

/// Whatever there is none of.
pub struct Nothing<S>(Infallible, PhantomData<fn() -> S>);

impl<S> Clone for Nothing<S> {
    fn clone(&self) -> Self {
        match self.0 {}
    }
}

impl<S> PartialEq for Nothing<S> {
    fn eq(&self, _: &Self) -> bool {
        match self.0 {}
    }
}

impl<S> fmt::Debug for Nothing<S> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl<S> fmt::Display for Nothing<S> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl<S: Source> Row for Nothing<S> {
    type Database = Unasked<S>;

    fn columns(&self) -> &[Self] {
        match self.0 {}
    }

    fn try_get_raw<I: ColumnIndex<Self>>(&self, _: I) -> Result<Self, Error> {
        match self.0 {}
    }
}

impl<S: Source> Column for Nothing<S> {
    type Database = Unasked<S>;

    fn ordinal(&self) -> usize {
        match self.0 {}
    }

    fn name(&self) -> &str {
        match self.0 {}
    }

    fn type_info(&self) -> &Self {
        match self.0 {}
    }
}

impl<S: Source> TypeInfo for Nothing<S> {
    fn is_null(&self) -> bool {
        match self.0 {}
    }

    fn name(&self) -> &str {
        match self.0 {}
    }
}

impl<S: Source> Value for Nothing<S> {
    type Database = Unasked<S>;

    fn as_ref(&self) -> Self {
        match self.0 {}
    }

    fn type_info(&self) -> Cow<'_, Self> {
        match self.0 {}
    }

    fn is_null(&self) -> bool {
        match self.0 {}
    }
}

impl<S: Source> ValueRef<'_> for Nothing<S> {
    type Database = Unasked<S>;

    fn to_owned(&self) -> Self {
        match self.0 {}
    }

    fn type_info(&self) -> Cow<'_, Self> {
        match self.0 {}
    }

    fn is_null(&self) -> bool {
        match self.0 {}
    }
}

impl<S: Source> Statement for Nothing<S> {
    type Database = Unasked<S>;

    fn into_sql(self) -> SqlStr {
        match self.0 {}
    }

    fn sql(&self) -> &SqlStr {
        match self.0 {}
    }

    fn parameters(&self) -> Option<Either<&[Self], usize>> {
        match self.0 {}
    }

    fn columns(&self) -> &[Self] {
        match self.0 {}
    }

    fn query(&self) -> Query<'_, Unasked<S>, NoArguments<S>> {
        match self.0 {}
    }

    fn query_with<A: IntoArguments<Unasked<S>>>(&self, _: A) -> Query<'_, Unasked<S>, A> {
        match self.0 {}
    }

    fn query_as<O: for<'r> FromRow<'r, Self>>(&self) -> QueryAs<'_, Unasked<S>, O, NoArguments<S>> {
        match self.0 {}
    }

    fn query_as_with<'s, O, A>(&'s self, _: A) -> QueryAs<'s, Unasked<S>, O, A>
    where
        O: for<'r> FromRow<'r, Self>,
        A: IntoArguments<Unasked<S>>,
    {
        match self.0 {}
    }

    fn query_scalar<O>(&self) -> QueryScalar<'_, Unasked<S>, O, NoArguments<S>>
    where
        (O,): for<'r> FromRow<'r, Self>,
    {
        match self.0 {}
    }

    fn query_scalar_with<'s, O, A>(&'s self, _: A) -> QueryScalar<'s, Unasked<S>, O, A>
    where
        (O,): for<'r> FromRow<'r, Self>,
        A: IntoArguments<Unasked<S>>,
    {
        match self.0 {}
    }
}
