// The reader's own numbers, and the size that the module makes of them.

import { ask } from "./ask.js";
import { make } from "./elements.js";
import { pairs } from "./knobs.js";

const OF_SLOW = "mixed";

// Each with its label, and what is set before the reader types if the preset says nothing. Without a value: optional.
const GROUPS = [
    [
        "Your load",
        ["rate", "Requests a second that need a connection, in your busiest minute, of all copies together", 100],
        ["hold", "Mean time that a request keeps its connection, slow ones included, in ms", 50],
        [
            "holds",
            "How much does that time vary?",
            [
                ["exponential", "A lot: some take several times the mean"],
                ["constant", "Hardly: all are alike"],
                [OF_SLOW, "Little, but a few are slow"],
            ],
        ],
        ["long_every", "If a few are slow: one request in so many", 50],
        ["slow", "If a few are slow: how long such a request keeps its connection, in ms", 400],
    ],
    [
        "Your target, for 99 of 100 requests",
        ["target", "They wait for a connection no longer than so many ms (empty: only the next target counts)", "20"],
        ["total", "They are done within so many ms, wait and hold together (empty: no such target)"],
    ],
    [
        "Your copies and your server",
        ["replicas", "Copies of your program that run at the same time (replicas)", 1],
        ["surge", "New copies that a deploy starts at once (maxSurge plus maxUnavailable)", 1],
        ["boot", "Seconds until a new copy is ready", 5],
        ["fault_for", "Seconds until an old copy has ended (at most its grace period)", 30],
        ["server_limit", "Connections that the server accepts (empty: you do not know)"],
        ["reserved", "Of these, not for this program: PostgreSQL reserves 3, and other clients need some", "3"],
    ],
];

const FIELDS = GROUPS.flatMap(([, ...fields]) => fields);

export class Sizing {
    constructor(id, { preset, onSize }) {
        this.given = pairs(preset.scenarios[0].knobs);
        this.form = make("form", { noValidate: true, className: "pool-lab-sizing" });
        for (const [title, ...fields] of GROUPS) {
            const set = make("fieldset", {}, make("legend", {}, title));
            for (const field of fields) {
                set.append(this.row(id, field));
            }
            this.form.append(set);
        }
        this.form.append(make("button", { type: "submit" }, "Size my pool"));
        this.form.elements.holds.addEventListener("change", () => this.fit());
        this.fit();
        this.answer = make("div", { "aria-live": "polite", className: "pool-lab-answer" });
        const changed = make("p", {}, "Your numbers have changed since: size the pool again.");
        this.form.addEventListener("input", () => {
            if (this.answer.firstChild) {
                this.answer.prepend(changed);
            }
        });
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            onSize();
        });
    }

    row(id, [name, text, initial = ""]) {
        const properties = { id: `${id}-size-${name}`, name };
        const options = () => initial.map(([value, said]) => make("option", { value }, said));
        const control = Array.isArray(initial)
            ? make("select", properties, ...options())
            : make("input", { ...properties, type: "text", inputMode: "decimal", autocomplete: "off" });
        if (this.given.has(name)) {
            control.value = this.given.get(name);
        } else if (!Array.isArray(initial)) {
            control.value = initial;
        }
        return make("div", { className: "pool-lab-knob" }, make("label", { for: properties.id }, text), control);
    }

    /** Fields for what does not exist are not to be filled in. */
    fit() {
        const { elements } = this.form;
        for (const name of ["long_every", "slow"]) {
            elements[name].disabled = elements.holds.value !== OF_SLOW;
        }
    }

    text() {
        const { elements } = this.form;
        const isEmpty = (name) => elements[name].value.trim() === "";
        // An empty field that is not optional is for the module to refuse. One target may be empty, and not both.
        const isOptional = (name, initial) => (name === "target" ? !isEmpty("total") : initial === undefined);
        const isAsked = ([name, , initial]) =>
            !elements[name].disabled && !(isOptional(name, initial) && isEmpty(name));
        const filled = FIELDS.filter(isAsked).map(([name]) => elements[name]);
        // What separates fields is no part of a number.
        return filled.map(({ name, value }) => `${name}=${value.trim().replace(/[&=\n]/g, " ")}`).join("&");
    }

    /** Takes the numbers over from an address, as `text` gives them. Returns what to ask: also what has no field. */
    read(text) {
        const given = pairs(text);
        if (given.has("slow") && !given.has("holds")) {
            given.set("holds", OF_SLOW);
        }
        for (const [name, , initial = ""] of FIELDS) {
            const otherwise = Array.isArray(initial) ? initial[0][0] : initial;
            this.form.elements[name].value = given.get(name) ?? otherwise;
            given.delete(name);
        }
        this.fit();
        return [this.text(), ...[...given].map((pair) => pair.join("="))].join("&");
    }

    /** Shows the answer and its reasons. Returns the run of the answer, or null if the lab has none. */
    async size(text) {
        const { words, run } = await ask("size", text);
        const [answer, ...reasons] = words;
        this.answer.replaceChildren(
            make("p", {}, make("strong", {}, answer)),
            make("ol", {}, ...reasons.map((reason) => make("li", {}, reason))),
        );
        return run;
    }
}
