// The Pool Lab on a page: a question, the knobs, and what the runs gave. The module beside this script is the pool.

import { ask } from "./ask.js";
import { drawCurve, drawRequests, drawRun, drawTimes, highest } from "./drawings.js";
import { button, details, make, round, table } from "./elements.js";
import { Knobs } from "./knobs.js";
import { Player } from "./player.js";
import { Sizing } from "./sizing.js";

const deploys = (run) => run.knobs.includes("fault=deploy");
const seconds = (millis) => (millis === null ? "it never ended" : `${round(millis / 1000)} s`);

const FIGURES = [
    ["median wait", (run) => `${run.figures.p50_wait} ms`],
    ["mean wait", (run) => `${round(run.figures.mean_wait, 1)} ms`],
    ["99th percentile of the waits", (run) => `${run.figures.p99_wait} ms`],
    ["99th percentile of the total times", (run) => `${run.figures.p99_total} ms`],
    ["median time to an error", (run) => (run.figures.p50_refusal > 0 ? `${run.figures.p50_refusal} ms` : "–")],
    ["served in time, a second", (run) => round(run.figures.throughput, 1)],
    ["utilisation", (run) => `${round(run.figures.utilisation * 100)} %`],
    ["most callers waiting", (run) => run.figures.most_waiting],
    ["most connections open", (run) => run.figures.most_open],
    ["connections open on average", (run) => round(run.figures.mean_open, 1)],
    ["connects that the server refused", (run) => run.figures.refused_connects || "–"],
    ["connections opened after the start", (run) => run.figures.opened],
    ["most replicas alive", (run) => (deploys(run) ? run.figures.most_replicas : "–")],
    ["the deploy took", (run) => (deploys(run) ? seconds(run.figures.deploy_took) : "–")],
    ["held on average, by Little's law", (run) => round(run.advice.held, 2)],
    ["mean wait by Erlang C", (run) => (run.advice.mean_wait === null ? "–" : `${round(run.advice.mean_wait, 1)} ms`)],
    ["least max_connections for the target", (run) => run.advice.least_connections ?? "–"],
    ["connections of all replicas", (run) => run.advice.together],
    ["the same with the surge, without ending copies", (run) => run.advice.in_a_deploy],
];

const KEY =
    "Curves: held (solid), open (dashed), callers that wait (dotted). Boxes at the moment of the line: held " +
    "(filled), idle (hollow), being opened (dashed); the bars below them are callers that wait.";

let counter = 0;

class PoolLab extends HTMLElement {
    async start(address) {
        const id = `pool-lab-${++counter}`;
        const live = { role: "status", "aria-live": "polite", className: "pool-lab-status" };
        this.status = make("p", live, "Loading the pool…");
        this.replaceChildren(this.status);
        try {
            const book = await ask("knobs");
            this.preset = book.presets.find(({ name }) => name === this.getAttribute("preset"));
            if (!this.preset) {
                throw new Error(`there is no preset ${this.getAttribute("preset")}`);
            }
            this.build(id, book.knobs);
            if (address) {
                await this.reproduce(address);
            } else {
                this.status.textContent = "First the question. The run comes after your answer.";
                this.runsOf(this.knobs.unchanged);
                // The button that had the focus is gone.
                this.question.focus({ preventScroll: true });
            }
        } catch (error) {
            this.fail(error);
        }
    }

    fail(error) {
        this.player?.pause();
        if (this.screen) {
            this.screen.hidden = true;
        }
        this.status.textContent = `No run: ${error.message}.`;
        this.classList.add("failed");
        if (!this.status.isConnected) {
            this.append(this.status);
        }
    }

    build(id, knobs) {
        const { preset } = this;
        const answers = preset.answers.map((answer) => button(answer, () => this.predict(answer)));
        this.verdict = make("p", { "aria-live": "polite", className: "pool-lab-verdict" });
        this.question = make(
            "fieldset",
            { className: "pool-lab-question", tabIndex: -1 },
            make("legend", {}, "Predict, then run"),
            make("p", {}, preset.question),
            ...answers,
        );
        this.screen = make("div", { hidden: true, className: "pool-lab-screen" });
        this.knobs = new Knobs(id, { knobs, preset, onRun: () => this.run() });
        const parts = [this.question, this.verdict];
        if (preset.name === "sizing") {
            this.sizing = new Sizing(id, { preset, onSize: () => this.size(this.sizing.text()) });
            parts.push(this.sizing.form, this.sizing.answer);
        }
        this.replaceChildren(...parts, this.status, details("Turn the knobs", this.knobs.form), this.screen);
        new ResizeObserver(() => this.redraw()).observe(this.screen);
        // A theme's colours may come by a transition.
        const later = () => setTimeout(() => this.redraw(), 50);
        new MutationObserver(later).observe(document.documentElement, { attributeFilter: ["class"] });
    }

    /** Runs what an address asks for: `first/second` as the knobs say them, or `size/` and the reader's own numbers. */
    async reproduce(address) {
        if (this.sizing && address.startsWith("size/")) {
            const text = decodeURIComponent(address.slice("size/".length));
            this.sizing.read(text);
            await this.size(text);
        } else {
            await this.run(this.knobs.read(address));
        }
    }

    async predict(answer) {
        const right = answer === this.preset.right;
        this.verdict.textContent = `${right ? "Right" : `Not so: ${this.preset.right}`}. ${this.preset.explanation}`;
        await this.run();
    }

    /** Does what takes a moment, and says how it goes. */
    async work(act) {
        this.player?.pause();
        this.classList.remove("failed");
        this.status.textContent = "Running…";
        try {
            await act();
        } catch (error) {
            this.fail(error);
        }
    }

    /** A text that the form cannot show is for the module to refuse. */
    run(wild) {
        return this.work(async () => {
            const texts = wild ? [wild] : this.preset.scenarios.map((_, index) => this.knobs.text(index));
            const runs = await this.runsOf(texts);
            this.remember(...texts);
            // A name of the preset says what a configuration no longer is once a knob has been turned.
            const names = this.preset.scenarios.map(({ name }, index) =>
                texts[index] === this.knobs.unchanged[index] ? name : `${["First", "Second"][index]}, changed`,
            );
            this.show(runs, names);
        });
    }

    /** Those of the preset are made while the reader thinks about the question. A scenario gives the same run each time. */
    runsOf(texts) {
        const key = texts.join("/");
        if (this.asked?.key !== key) {
            const asked = { key, runs: Promise.all(texts.map((text) => ask("run", text))) };
            this.asked = asked;
            asked.runs.catch(() => {
                if (this.asked === asked) {
                    this.asked = undefined;
                }
            });
        }
        return this.asked.runs;
    }

    size(text) {
        return this.work(async () => {
            const run = await this.sizing.size(text);
            this.remember("size", text);
            const knobs = new URLSearchParams(run.knobs);
            this.knobs.fill([knobs, knobs]);
            const copies = knobs.has("replicas") ? " in each copy" : "";
            this.show([run], [`${knobs.get("max_connections") ?? 10} connections${copies}`]);
        });
    }

    /** The address of the page repeats the run. */
    remember(...parts) {
        history.replaceState(null, "", `#lab/${this.preset.name}/${parts.map(encodeURIComponent).join("/")}`);
    }

    show(runs, names) {
        this.runs = runs;
        this.names = names;
        this.most = highest(runs);
        this.sweep = undefined;
        this.canvases = runs.map((run, index) => {
            const label = `${names[index]}: connections and waiting callers over time. ${run.summary}`;
            return make("canvas", { role: "img", "aria-label": label });
        });
        const key = () => make("p", { className: "pool-lab-key" });
        const figure = (canvas, index) => make("figure", {}, make("figcaption", {}, names[index]), canvas, key());
        const plot = (label) => make("canvas", { role: "img", "aria-label": label });
        this.waits = plot("How many waited how long. The table has the percentiles.");
        this.totals = plot("How many took how long in all.");
        this.curve = plot("Mean wait over utilisation by Erlang C, and where the runs are.");
        this.requests = plot("The requests of the moment: how long each waits and holds, and how it ends.");
        this.loads = make("div");
        const several = button("Run seven loads of the first", () => this.several());
        this.player = new Player(runs[0].frames, (at) => this.draw(at));
        this.screen.replaceChildren(
            this.player.element,
            make("div", { className: "pool-lab-pair" }, ...this.canvases.map(figure)),
            make("p", { className: "pool-lab-key" }, KEY),
            this.table(),
            details("Waits", this.waits, key()),
            details("Total times", this.totals, key()),
            details("Utilisation and wait", this.curve, key(), make("p", {}, several), this.loads),
            details("Request by request", this.requests, key()),
            ...runs.map((run, index) => this.said(run, names[index])),
        );
        for (const closed of this.screen.querySelectorAll("details")) {
            closed.addEventListener("toggle", () => this.redraw());
        }
        this.screen.hidden = false;
        this.status.textContent = runs.map((run, index) => `${names[index]}: ${run.summary}`).join(" ");
        this.player.show(this.player.last);
        if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
            this.player.play();
        }
    }

    /** Puts runs of the first one at several loads beside the curve. */
    async several() {
        this.loads.replaceChildren(make("p", { role: "status" }, "Running seven loads…"));
        try {
            this.sweep = await ask("sweep", this.runs[0].knobs);
        } catch (error) {
            this.loads.replaceChildren(make("p", { role: "status" }, `No runs: ${error.message}.`));
            return;
        }
        const ms = (value) => `${round(value, 1)} ms`;
        const rows = this.sweep.points.map((point) => [
            `${round(point.utilisation * 100)} %`,
            round(point.rate, 1),
            ms(point.mean_wait),
            ms(point.theory_mean),
            ms(point.p99_wait),
            ms(point.theory_p99),
        ]);
        const head = ["busy", "requests/s", "mean wait", "by Erlang C", "99 of 100", "by Erlang C"];
        const title = make("p", { role: "status" }, "Seven runs of the first one's pool, each under another load:");
        this.loads.replaceChildren(title, table(head, rows));
        this.drawPlots();
    }

    table() {
        const { runs, names } = this;
        const outcomes = Object.keys(runs[0].figures.outcomes).filter((outcome) =>
            runs.some((run) => run.figures.outcomes[outcome] > 0),
        );
        const counts = outcomes.map((outcome) => [outcome, (run) => run.figures.outcomes[outcome]]);
        const rows = [["requests", (run) => run.figures.requests], ...counts, ...FIGURES];
        const cells = rows.map(([label, value]) => [label, ...runs.map(value)]);
        // A row of which no run has anything says nothing.
        return table(["", ...names], cells.filter(([, ...values]) => values.some((value) => value !== "–")));
    }

    /** What the pool itself says, and its knobs as Rust. */
    said(run, name) {
        const said = run.diagnoses.map(([outcome, text]) => make("p", {}, `${outcome}: `, make("code", {}, text)));
        const statistics = run.statistics.map(([counted, value]) => `${counted} ${value}`).join("\n");
        const copy = button("Copy", async () => {
            try {
                await navigator.clipboard.writeText(run.snippet);
                copy.textContent = "Copied";
            } catch {
                copy.textContent = "Not allowed here: select the text";
            }
        });
        return details(
            `What the pool says: ${name}`,
            ...(said.length > 0 ? said : [make("p", {}, "No acquire failed.")]),
            make("pre", {}, make("code", {}, statistics)),
            make("p", {}, copy),
            make("pre", {}, make("code", {}, run.snippet)),
        );
    }

    colours() {
        const style = getComputedStyle(this);
        return { ink: style.color, accent: style.getPropertyValue("--links") || style.color };
    }

    draw(at) {
        const colours = this.colours();
        this.runs.forEach((run, index) => {
            const canvas = this.canvases[index];
            canvas.nextElementSibling.textContent = drawRun(canvas, colours, run, at, this.most);
        });
        this.plot(this.requests, colours, drawRequests, this.names, at);
    }

    redraw() {
        if (this.runs && !this.screen.hidden) {
            this.draw(Math.round(this.player.at));
            this.drawPlots();
        }
    }

    /** A plot that is closed costs nothing. */
    plot(canvas, colours, draw, ...more) {
        if (canvas.offsetParent) {
            canvas.nextElementSibling.textContent = draw(canvas, colours, this.runs, ...more);
        }
    }

    drawPlots() {
        const colours = this.colours();
        this.plot(this.waits, colours, drawTimes, "waits");
        this.plot(this.totals, colours, drawTimes, "totals");
        this.plot(this.curve, colours, drawCurve, this.sweep);
    }
}

customElements.define("pool-lab", PoolLab);
