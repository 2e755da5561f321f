//! What becomes of the manager's errors, on the thread that got them: they need not be `Send`.

use std::error::Error;
use std::sync::Arc;

use poolhouse::{Failure, FailureKind};

type BoxError = Box<dyn Error + Send + Sync>;

/// How they are boxed and classified.
pub(crate) struct Errors<E> {
    box_error: fn(E) -> BoxError,
    pub(crate) classify: Option<Arc<Classify<E>>>,
}

type Classify<E> = dyn Fn(&E) -> FailureKind + Send + Sync;

impl<E> Errors<E> {
    pub(crate) fn new(box_error: fn(E) -> BoxError) -> Self {
        Self { box_error, classify: None }
    }

    pub(crate) fn failed(&self, error: E) -> Failure {
        let kind = self.classify.as_ref().map_or(FailureKind::Transient, |classify| classify(&error));
        Failure::or(kind, (self.box_error)(error))
    }
}

impl<E> Clone for Errors<E> {
    fn clone(&self) -> Self {
        Self { box_error: self.box_error, classify: self.classify.clone() }
    }
}
