// The Pool Lab on a page. The module beside this script is the real pool; here is only what draws its runs.
// The same file is the page's script and its worker, so that a long run never holds up the page.

const MODULE = new URL("pool-lab.wasm", import.meta.url);
const TOO_LONG = 30_000;

// What the module asks of its host. The clock stands still: the lab has its own. Nothing else is ever used.
const host = (memory) => {
    const words = () => new DataView(memory().buffer);
    const write = (at, ...values) => values.forEach((value, index) => words().setUint32(at + 4 * index, value, true));
    const known = {
        clock_time_get: (_id, _precision, at) => (words().setBigUint64(at, 0n, true), 0),
        random_get: (at, length) => (new Uint8Array(memory().buffer, at, length).fill(7), 0),
        environ_sizes_get: (count, size) => (write(count, 0), write(size, 0), 0),
        environ_get: () => 0,
        proc_exit: () => {
            throw new Error("the module has stopped");
        },
        fd_write: (_file, parts, count, written) => {
            let text = "";
            for (let part = 0; part < count; part++) {
                const [at, length] = [0, 4].map((offset) => words().getUint32(parts + 8 * part + offset, true));
                text += new TextDecoder().decode(new Uint8Array(memory().buffer, at, length));
            }
            write(written, new TextEncoder().encode(text).length);
            console.error(text);
            return 0;
        },
    };
    const UNSUPPORTED = 52;
    return new Proxy(known, { get: (all, name) => all[name] ?? (() => UNSUPPORTED) });
};

/** Loads the module. Returns what it can do: `knobs()` and `run(text)`, both of which give JSON as text. */
export const load = async (url = MODULE) => {
    const response = await fetch(url);
    if (!response.ok) {
        throw new Error(`${response.status} for ${url}`);
    }
    const module = await WebAssembly.compile(await response.arrayBuffer());
    let instance;
    const functions = host(() => instance.exports.memory);
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
        imports[from] ??= {};
        imports[from][name] = functions[name];
    }
    instance = await WebAssembly.instantiate(module, imports);
    const { input, output, knobs, run, memory } = instance.exports;
    const answer = (length) => new TextDecoder().decode(new Uint8Array(memory.buffer, output(), length));
    return {
        knobs: () => answer(knobs()),
        run: (text) => {
            const bytes = new TextEncoder().encode(text);
            new Uint8Array(memory.buffer, input(bytes.length), bytes.length).set(bytes);
            return answer(run());
        },
    };
};

if (typeof document === "undefined") {
    const lab = load();
    addEventListener("message", async ({ data: { id, text } }) => {
        try {
            const module = await lab;
            postMessage({ id, json: text === undefined ? module.knobs() : module.run(text) });
        } catch (error) {
            postMessage({ id, failure: String(error.message ?? error) });
        }
    });
}

// The worker of all labs on a page, and who waits for its answers.
const pending = new Map();
let worker;
let last = 0;

const stop = (failure) => {
    worker?.terminate();
    worker = undefined;
    for (const { reject } of pending.values()) {
        reject(new Error(failure));
    }
    pending.clear();
};

const ask = (text) =>
    new Promise((resolve, reject) => {
        if (!worker) {
            worker = new Worker(new URL(import.meta.url), { type: "module" });
            worker.onerror = () => stop("the lab could not be loaded; it needs a page that comes from a web server");
            worker.onmessage = ({ data: { id, json, failure } }) => {
                const entry = pending.get(id);
                pending.delete(id);
                clearTimeout(entry?.timer);
                if (failure) {
                    entry?.reject(new Error(failure));
                } else {
                    entry?.resolve(JSON.parse(json));
                }
            };
        }
        const id = ++last;
        const timer = setTimeout(() => stop("the run took too long and was stopped: ask for less"), TOO_LONG);
        pending.set(id, { resolve, reject, timer });
        worker.postMessage({ id, text });
    });

const make = (name, properties = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
        if (key.includes("-") || key === "role" || key === "for") {
            element.setAttribute(key, value);
        } else {
            element[key] = value;
        }
    }
    element.append(...children);
    return element;
};

const round = (value, digits = 0) => (value === null || value === undefined ? "–" : Number(value.toFixed(digits)));

const FIGURES = [
    ["median wait", (run) => `${run.figures.p50_wait} ms`],
    ["mean wait", (run) => `${round(run.figures.mean_wait, 1)} ms`],
    ["99th percentile of the waits", (run) => `${run.figures.p99_wait} ms`],
    ["median time to an error", (run) => `${run.figures.p50_refusal} ms`],
    ["served in time, a second", (run) => round(run.figures.throughput, 1)],
    ["utilisation", (run) => `${round(run.figures.utilisation * 100)} %`],
    ["most callers waiting", (run) => run.figures.most_waiting],
    ["most connections open", (run) => run.figures.most_open],
    ["connections opened after the start", (run) => run.figures.opened],
    ["held on average, by Little's law", (run) => round(run.advice.held, 2)],
    ["mean wait by Erlang C", (run) => (run.advice.mean_wait === null ? "–" : `${round(run.advice.mean_wait, 1)} ms`)],
    ["least max_connections for the target", (run) => run.advice.least_connections ?? "–"],
    ["connections of all replicas", (run) => run.advice.together],
    ["the same in a deploy", (run) => run.advice.in_a_deploy],
];

const KEY =
    "Curves: held (solid), open (dashed), callers that wait (dotted). Boxes at the moment of the line: held (filled), " +
    "idle (hollow), being opened (dashed); the bars below them are callers that wait.";

let counter = 0;

// The worker has no elements.
class PoolLab extends (globalThis.HTMLElement ?? Object) {
    async start(address) {
        this.id_ = `pool-lab-${++counter}`;
        this.runs = [];
        this.status = make("p", { role: "status", "aria-live": "polite", className: "pool-lab-status" }, "Loading the pool…");
        this.replaceChildren(this.status);
        try {
            this.book = await ask();
            this.preset = this.book.presets.find(({ name }) => name === this.getAttribute("preset"));
            if (!this.preset) {
                throw new Error(`there is no preset ${this.getAttribute("preset")}`);
            }
            this.build();
            if (address) {
                this.read(address);
                await this.run();
            } else {
                this.status.textContent = "First the question. The run comes after your answer.";
            }
        } catch (error) {
            this.fail(error);
        }
    }

    fail(error) {
        this.status.textContent = `No run: ${error.message}.`;
        this.classList.add("failed");
        if (!this.status.isConnected) {
            this.append(this.status);
        }
    }

    build() {
        const answers = this.preset.answers.map((answer) => {
            const button = make("button", { type: "button", textContent: answer });
            button.addEventListener("click", () => this.predict(answer));
            return button;
        });
        this.verdict = make("p", { className: "pool-lab-verdict" });
        const question = make("fieldset", { className: "pool-lab-question" });
        question.append(make("legend", {}, "Predict, then run"), make("p", {}, this.preset.question), ...answers);
        this.screen = make("div", { hidden: true, className: "pool-lab-screen" });
        const knobs = make("details", {}, make("summary", {}, "Turn the knobs"), this.form());
        this.replaceChildren(question, this.verdict, this.status, knobs, this.screen);
    }

    /** A row for each knob: one value for both configurations, or one each if it is the pool's or the preset's point. */
    form() {
        const form = make("form", { noValidate: true });
        const names = this.preset.scenarios.map(({ name }) => name);
        const values = this.preset.scenarios.map(({ knobs }) => new URLSearchParams(knobs));
        const differs = ({ name }) => values.some((each) => each.get(name) !== values[0].get(name));
        for (const group of new Set(this.book.knobs.map((knob) => knob.group))) {
            const knobs = this.book.knobs.filter((each) => each.group === group);
            const own = (knob) => group === "Pool" || differs(knob);
            const legend = knobs.some(own) ? `${group}: ${names.join(", then ")}` : group;
            const set = make("fieldset", {}, make("legend", {}, legend));
            for (const knob of knobs) {
                const inputs = (own(knob) ? names : [""]).map((name, index) => this.control(knob, index, name));
                const unit = knob.off ? `${knob.unit} (0: off)`.trim() : knob.unit;
                const label = make("label", { for: inputs[0].id }, knob.label + (unit ? ` in ${unit}` : ""));
                set.append(make("div", { className: "pool-lab-knob" }, label, ...inputs));
            }
            form.append(set);
        }
        form.append(make("button", { type: "submit" }, "Run"));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.run();
        });
        this.form_ = form;
        this.fill(values);
        this.unchanged = this.preset.scenarios.map((_, index) => this.text(index));
        return form;
    }

    control(knob, index, name) {
        const id = `${this.id_}-${knob.name}-${index}`;
        const properties = { id, name: `${index}.${knob.name}` };
        if (name) {
            properties["aria-label"] = `${knob.label}, ${name}`;
        }
        if (knob.choices) {
            return make("select", properties, ...knob.choices.map((choice) => make("option", { value: choice }, choice)));
        }
        return make("input", {
            ...properties,
            type: "number",
            min: knob.least,
            max: knob.most,
            step: knob.whole ? 1 : "any",
        });
    }

    fill(values) {
        for (const knob of this.book.knobs) {
            for (const index of [0, 1]) {
                const control = this.form_.elements[`${index}.${knob.name}`];
                if (control) {
                    control.value = values[index]?.get(knob.name) ?? knob.default;
                }
            }
        }
    }

    /** What each configuration is called: a name of the preset says what it no longer is once a knob has been turned. */
    names() {
        return this.preset.scenarios.map(({ name }, index) => {
            const isPreset = this.ran[index] === this.unchanged[index];
            return isPreset ? name : `${["First", "Second"][index]}, changed`;
        });
    }

    /** The knobs of one configuration that differ from the defaults, as text for the module. */
    text(index) {
        const pairs = this.book.knobs.flatMap((knob) => {
            const control = this.form_.elements[`${index}.${knob.name}`] ?? this.form_.elements[`0.${knob.name}`];
            return control.value === knob.default ? [] : [`${knob.name}=${control.value}`];
        });
        return pairs.join("&");
    }

    /** `first/second`, as `text` gives them. What the form cannot show stays in it, so that the module refuses it. */
    read(address) {
        const parts = address.split("/").map(decodeURIComponent);
        this.fill(parts.map((part) => new URLSearchParams(part)));
        this.wild = parts.find((part, index) => {
            const known = new URLSearchParams(part);
            const shown = new URLSearchParams(this.text(index));
            return [...known].some(([name, value]) => {
                const knob = this.book.knobs.find((each) => each.name === name);
                return !knob || (shown.get(name) ?? knob.default) !== value;
            });
        });
    }

    async predict(answer) {
        const right = answer === this.preset.right;
        this.verdict.textContent = `${right ? "Right" : `Not so: ${this.preset.right}`}. ${this.preset.explanation}`;
        await this.run();
    }

    async run() {
        this.pause();
        this.classList.remove("failed");
        this.status.textContent = "Running…";
        try {
            const texts = this.wild ? [this.wild] : this.preset.scenarios.map((_, index) => this.text(index));
            this.wild = undefined;
            const runs = await Promise.all(texts.map(ask));
            const wrong = runs.find((run) => run.error);
            if (wrong) {
                throw new Error(wrong.error);
            }
            this.runs = runs;
            this.ran = texts;
            history.replaceState(null, "", `#lab/${this.preset.name}/${texts.map(encodeURIComponent).join("/")}`);
            this.show();
        } catch (error) {
            this.screen.hidden = true;
            this.fail(error);
        }
    }

    show() {
        const names = this.names();
        this.canvases = this.runs.map((run, index) => {
            const label = `${names[index]}: connections and waiting callers over time. ${run.summary}`;
            return make("canvas", { role: "img", "aria-label": label });
        });
        const pictures = this.canvases.map((canvas, index) =>
            make("figure", {}, make("figcaption", {}, names[index]), canvas),
        );
        const details = (title, ...children) => make("details", {}, make("summary", {}, title), ...children);
        this.plots = [0, 1, 2].map(() => make("canvas", { role: "img" }));
        this.plots[0].setAttribute("aria-label", "How many waited how long. The table has the percentiles.");
        this.plots[1].setAttribute("aria-label", "Mean wait over utilisation by Erlang C, and where the runs are.");
        this.plots[2].setAttribute("aria-label", "The first requests that ended: how long each waited and worked.");
        this.screen.replaceChildren(
            this.player(),
            ...pictures,
            make("p", { className: "pool-lab-key" }, KEY),
            this.table(names),
            details("Waits", this.plots[0]),
            details("Utilisation and wait", this.plots[1]),
            details("Request by request", this.plots[2]),
            ...this.texts(names),
        );
        for (const closed of this.screen.querySelectorAll("details")) {
            closed.addEventListener("toggle", () => this.draw());
        }
        this.screen.hidden = false;
        this.at = this.runs[0].frames.length - 1;
        this.status.textContent = this.runs.map((run, index) => `${names[index]}: ${run.summary}`).join(" ");
        this.draw();
        if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
            this.at = 0;
            this.play();
        }
    }

    player() {
        const button = (text, act) => {
            const made = make("button", { type: "button", textContent: text });
            made.addEventListener("click", act);
            return made;
        };
        this.playing = button("Play", () => (this.timer ? this.pause() : this.play()));
        const last = this.runs[0].frames.length - 1;
        this.slider = make("input", { type: "range", min: 0, max: last, value: last, "aria-label": "Moment of the run" });
        this.slider.addEventListener("input", () => {
            this.pause();
            this.at = Number(this.slider.value);
            this.draw();
        });
        const speeds = ["0.5", "1", "4"].map((speed) => make("option", { value: speed, selected: speed === "1" }, `${speed} ×`));
        this.speed = make("select", { "aria-label": "Speed" }, ...speeds);
        this.moment = make("output");
        const step = button("Step", () => {
            this.pause();
            this.at = Math.min(this.at + 1, last);
            this.draw();
        });
        return make("div", { className: "pool-lab-player" }, this.playing, step, this.speed, this.slider, this.moment);
    }

    play() {
        const last = this.runs[0].frames.length - 1;
        if (this.at >= last) {
            this.at = 0;
        }
        this.playing.textContent = "Pause";
        let before;
        const frame = (now) => {
            // All of a run in eight seconds, at the speed of one.
            this.at = Math.min(last, this.at + ((now - (before ?? now)) / 8000) * last * Number(this.speed.value));
            before = now;
            this.draw();
            if (this.at < last) {
                this.timer = requestAnimationFrame(frame);
            } else {
                this.pause();
            }
        };
        this.timer = requestAnimationFrame(frame);
    }

    pause() {
        cancelAnimationFrame(this.timer);
        this.timer = undefined;
        if (this.playing) {
            this.playing.textContent = "Play";
        }
    }

    table(names) {
        const cells = (name, values) => values.map((value) => make(name, {}, String(value)));
        const head = make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col" }, name)));
        const outcomes = Object.keys(this.runs[0].figures.outcomes).filter((outcome) =>
            this.runs.some((run) => run.figures.outcomes[outcome] > 0),
        );
        const counts = outcomes.map((outcome) => [outcome, (run) => run.figures.outcomes[outcome]]);
        const rows = [["requests", (run) => run.figures.requests], ...counts, ...FIGURES].map(([label, value]) =>
            make("tr", {}, make("th", { scope: "row" }, label), ...cells("td", this.runs.map(value))),
        );
        return make("div", { className: "table-wrapper" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
    }

    texts(names) {
        return this.runs.flatMap((run, index) => {
            const said = run.diagnoses.map(([outcome, text]) => make("p", {}, `${outcome}: `, make("code", {}, text)));
            const statistics = run.statistics.map(([name, value]) => `${name} ${value}`).join("\n");
            const code = make("pre", {}, make("code", {}, run.snippet));
            const copy = make("button", { type: "button" }, "Copy");
            copy.addEventListener("click", async () => {
                await navigator.clipboard.writeText(run.snippet);
                copy.textContent = "Copied";
            });
            const inside = [make("pre", {}, make("code", {}, statistics)), make("p", {}, copy), code];
            return make(
                "details",
                {},
                make("summary", {}, `What the pool says: ${names[index]}`),
                ...(said.length > 0 ? said : [make("p", {}, "No acquire failed.")]),
                ...inside,
            );
        });
    }

    /** A canvas as wide as its place, in the page's own colours. */
    surface(canvas, height) {
        const width = canvas.clientWidth || 600;
        const scale = devicePixelRatio || 1;
        if (canvas.width !== Math.round(width * scale)) {
            canvas.width = Math.round(width * scale);
            canvas.height = Math.round(height * scale);
            canvas.style.height = `${height}px`;
        }
        const pen = canvas.getContext("2d");
        pen.setTransform(scale, 0, 0, scale, 0, 0);
        pen.clearRect(0, 0, width, height);
        const style = getComputedStyle(this);
        const [ink, accent] = [style.color, style.getPropertyValue("--links") || style.color];
        pen.font = "13px sans-serif";
        pen.fillStyle = ink;
        pen.strokeStyle = ink;
        return { pen, width, height, ink, accent };
    }

    draw() {
        const at = Math.round(this.at);
        this.slider.value = at;
        this.moment.textContent = `${round(this.runs[0].frames[at][0] / 1000, 1)} s`;
        this.runs.forEach((run, index) => this.drawRun(run, this.canvases[index], at));
        if (this.plots[0].offsetParent) {
            this.drawWaits();
        }
        if (this.plots[1].offsetParent) {
            this.drawCurve();
        }
        if (this.plots[2].offsetParent) {
            this.drawRequests();
        }
    }

    /** The first requests of each run on an axis of time: a thin line while they wait, a thick one while they hold. */
    drawRequests() {
        const { pen, width, ink, accent } = this.surface(this.plots[2], 24 + 190 * this.runs.length);
        this.runs.forEach((run, index) => {
            const shown = run.requests.slice(0, 40).sort(([a], [b]) => a - b);
            const first = shown[0]?.[0] ?? 0;
            const last = Math.max(first + 1, ...shown.map(([arrived, , total]) => arrived + total));
            const x = (at) => 10 + ((at - first) / (last - first)) * (width - 20);
            const top = index * 190;
            shown.forEach(([arrived, waited, total], line) => {
                const y = top + 8 + line * 4;
                pen.fillStyle = ink;
                pen.fillRect(x(arrived), y + 1, Math.max(1, x(arrived + waited) - x(arrived)), 1);
                pen.fillStyle = accent;
                pen.fillRect(x(arrived + waited), y, x(arrived + total) - x(arrived + waited), 3);
            });
            pen.fillStyle = ink;
            pen.fillText(`${this.names()[index]}: ${first} ms to ${last} ms`, 10, top + 184);
        });
        pen.fillText("Thin: waiting. Thick: holding.", 10, 190 * this.runs.length + 16);
    }

    drawRun(run, canvas, at) {
        const { pen, width, ink, accent } = this.surface(canvas, 210);
        const [left, right, roof, floor] = [34, width - 6, 12, 120];
        const frames = run.frames;
        const most = Math.max(1, ...frames.map(([, idle, held, , waiting]) => Math.max(idle + held, waiting)));
        const x = (index) => left + (index / Math.max(1, frames.length - 1)) * (right - left);
        const y = (value) => floor - (value / most) * (floor - roof);
        const curve = (value, dash, thickness, colour) => {
            pen.beginPath();
            frames.forEach((frame, index) => pen.lineTo(x(index), y(value(frame))));
            pen.setLineDash(dash);
            pen.lineWidth = thickness;
            pen.strokeStyle = colour;
            pen.stroke();
            pen.setLineDash([]);
        };
        curve(([, idle, held]) => idle + held, [6, 3], 1, ink);
        curve(([, , held]) => held, [], 1.5, accent);
        curve(([, , , , waiting]) => waiting, [2, 3], 2.5, ink);
        pen.fillText(String(most), 2, roof + 5);
        pen.fillText("0", 2, floor);
        pen.fillRect(x(at), roof, 1, floor - roof);
        const [, idle, held, connecting, waiting] = frames[at];
        const total = Math.max(1, idle + held + connecting);
        const size = Math.max(3, Math.min(18, Math.floor((right - left) / Math.min(total, 100)) - 3));
        const across = Math.max(1, Math.floor((right - left) / (size + 3)));
        for (let each = 0; each < total; each++) {
            const [column, line] = [each % across, Math.floor(each / across)];
            const [boxX, boxY] = [left + column * (size + 3), 130 + line * (size + 3)];
            if (each < held) {
                pen.fillStyle = accent;
                pen.fillRect(boxX, boxY, size, size);
            } else if (each < held + idle + connecting) {
                pen.lineWidth = 1;
                pen.strokeStyle = ink;
                pen.setLineDash(each < held + idle ? [] : [2, 2]);
                pen.strokeRect(boxX + 0.5, boxY + 0.5, size - 1, size - 1);
                pen.setLineDash([]);
            }
        }
        pen.fillStyle = ink;
        for (let each = 0; each < Math.min(waiting, Math.floor((right - left) / 5)); each++) {
            pen.fillRect(left + each * 5, 182, 3, 8);
        }
        pen.fillText(`${held} held, ${idle} idle, ${connecting} being opened, ${waiting} waiting`, left, 206);
    }

    drawWaits() {
        const { pen, width, height, ink, accent } = this.surface(this.plots[0], 180);
        const bars = Math.max(...this.runs.map((run) => run.waits.bars.length));
        const most = Math.max(1, ...this.runs.flatMap((run) => run.waits.bars));
        const step = (width - 20) / bars / this.runs.length;
        this.runs.forEach((run, index) => {
            run.waits.bars.forEach((count, bar) => {
                const tall = (count / most) * (height - 40);
                const [x, y] = [10 + (bar * this.runs.length + index) * step, height - 24 - tall];
                pen.fillStyle = accent;
                pen.strokeStyle = ink;
                if (index === 0) {
                    pen.fillRect(x, y, step - 1, tall);
                } else {
                    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, step - 2), tall);
                }
            });
        });
        pen.fillStyle = ink;
        const widths = this.runs.map((run) => `${run.waits.width} ms`).join(" and ");
        pen.fillText(`Filled: first. Hollow: second. A bar is ${widths} wide; the last one holds the rest.`, 10, height - 6);
    }

    drawCurve() {
        const { pen, width, height, ink, accent } = this.surface(this.plots[1], 200);
        const most = Math.max(1, ...this.runs.map((run) => run.figures.mean_wait)) * 1.5;
        const x = (utilisation) => 40 + Math.min(utilisation, 1) * (width - 60);
        const y = (wait) => height - 30 - (Math.min(wait, most) / most) * (height - 50);
        this.runs.forEach((run, index) => {
            pen.beginPath();
            run.curve.forEach(([utilisation, wait]) => pen.lineTo(x(utilisation), y(wait)));
            pen.setLineDash(index === 0 ? [] : [5, 3]);
            pen.strokeStyle = ink;
            pen.stroke();
            pen.setLineDash([]);
            const [dotX, dotY] = [x(run.figures.utilisation), y(run.figures.mean_wait)];
            pen.fillStyle = accent;
            if (index === 0) {
                pen.beginPath();
                pen.arc(dotX, dotY, 5, 0, 7);
                pen.fill();
            } else {
                pen.fillRect(dotX - 4, dotY - 4, 9, 9);
            }
        });
        pen.fillStyle = ink;
        pen.fillText(`${round(most)} ms`, 2, 22);
        pen.fillText("Round: first. Square, dashed: second. From 0 % to 100 % busy.", 40, height - 8);
    }
}

if (typeof document !== "undefined") {
    customElements.define("pool-lab", PoolLab);
}
