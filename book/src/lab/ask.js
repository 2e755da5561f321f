// The page's side of the worker.

const TOO_LONG = 30_000;

// Who waits for an answer.
const pending = new Map();
let worker;
let timer;
let last = 0;

const stop = (failure) => {
    worker?.terminate();
    worker = undefined;
    clearTimeout(timer);
    for (const { reject } of pending.values()) {
        reject(new Error(failure));
    }
    pending.clear();
};

/** The worker does one thing at a time: the next one begins now. */
const watch = () => {
    clearTimeout(timer);
    timer = pending.size && setTimeout(() => stop("the run took too long and was stopped: ask for less"), TOO_LONG);
};

const start = () => {
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onerror = () => stop("the lab could not be loaded; it needs a page that comes from a web server");
    worker.onmessage = ({ data: { id, json, failure } }) => {
        const entry = pending.get(id);
        if (failure) {
            // A module that has stopped in the middle of a run is not to be asked again.
            return stop(failure);
        }
        pending.delete(id);
        watch();
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
        pending.set(id, { resolve, reject });
        if (pending.size === 1) {
            watch();
        }
        worker.postMessage({ id, verb, text });
    });
