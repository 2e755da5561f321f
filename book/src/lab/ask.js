// The page's side of the worker.

const TOO_LONG = 30_000;

// Who waits for an answer.
const pending = new Map();
let worker;
let last = 0;

const stop = (failure) => {
    worker?.terminate();
    worker = undefined;
    for (const { reject, timer } of pending.values()) {
        clearTimeout(timer);
        reject(new Error(failure));
    }
    pending.clear();
};

const start = () => {
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onerror = () => stop("the lab could not be loaded; it needs a page that comes from a web server");
    worker.onmessage = ({ data: { id, json, failure } }) => {
        const entry = pending.get(id);
        clearTimeout(entry?.timer);
        if (failure) {
            // A module that has stopped in the middle of a run is not to be asked again.
            return stop(failure);
        }
        pending.delete(id);
        const answer = JSON.parse(json);
        if (answer.error) {
            const error = new Error(answer.error);
            error.knob = answer.knob;
            error.said = answer.said;
            entry?.reject(error);
        } else {
            entry?.resolve(answer);
        }
    };
};

/**
 * `knobs`, or `run`, `size` or `sweep` of a scenario's text. Rejects if it takes too long, or if the module refuses it:
 * then with the name of a `knob`, and what is `said` of it.
 */
export const ask = (verb, text) =>
    new Promise((resolve, reject) => {
        if (!worker) {
            start();
        }
        const id = ++last;
        const timer = setTimeout(() => stop("the run took too long and was stopped: ask for less"), TOO_LONG);
        pending.set(id, { resolve, reject, timer });
        worker.postMessage({ id, verb, text });
    });
