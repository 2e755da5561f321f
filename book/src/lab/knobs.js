// The form with every knob, and what it says as text for the module.

import { make } from "./elements.js";

/** The values in a text for the module, by name. */
export const pairs = (text) => new Map(text.split("&").filter(Boolean).map((pair) => pair.split(/=(.*)/s, 2)));

const title = ({ label, unit, off }) => label + (unit ? ` in ${unit}` : "") + (off ? " (0: off)" : "");

export class Knobs {
    /** A row for each knob: one value for both configurations, or one each if it is the pool's, or differs. */
    constructor(id, { knobs, preset, onRun }) {
        this.id = id;
        this.knobs = knobs;
        this.legends = new Map();
        this.form = make("form", { noValidate: true });
        const names = preset.scenarios.map(({ name }) => name);
        const values = preset.scenarios.map((scenario) => pairs(scenario.knobs));
        const differs = ({ name }) => values.some((each) => each.get(name) !== values[0].get(name));
        for (const group of new Set(knobs.map((knob) => knob.group))) {
            const own = (knob) => group === "Pool" || differs(knob);
            this.form.append(this.group(group, names, own));
        }
        this.form.append(make("button", { type: "submit" }, "Run"));
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            onRun();
        });
        this.reset = () => this.set(values, names);
        this.reset();
    }

    group(group, names, own) {
        const knobs = this.knobs.filter((each) => each.group === group);
        const legend = make("legend", {}, group);
        if (knobs.some(own)) {
            this.legends.set(group, legend);
        }
        const set = make("fieldset", {}, legend);
        for (const knob of knobs) {
            const inputs = (own(knob) ? names : [""]).map((_, index) => this.control(knob, index));
            const label = make("label", { for: inputs[0].id }, title(knob));
            set.append(make("div", { className: "pool-lab-knob" }, label, ...inputs));
        }
        return set;
    }

    control(knob, index) {
        const properties = { id: `${this.id}-${knob.name}-${index}`, name: `${index}.${knob.name}` };
        if (knob.choices) {
            const choices = knob.choices.map((choice) => make("option", { value: choice }, choice));
            return make("select", properties, ...choices);
        }
        // A field for numbers makes 125 of "12,5", which the module refuses.
        const inputMode = knob.whole ? "numeric" : "decimal";
        return make("input", { ...properties, inputMode, autocomplete: "off" });
    }

    own(name, index) {
        return this.form.elements.namedItem(`${index}.${name}`);
    }

    /** Shows these configurations under these names. */
    set(values, names) {
        this.fill(values);
        this.rename(names);
    }

    rename(names) {
        this.names = names;
        for (const [group, legend] of this.legends) {
            legend.textContent = `${group}: ${names.join(", then ")}`;
        }
        for (const knob of this.knobs.filter(({ name }) => this.own(name, 1))) {
            const named = (each, index) =>
                this.own(knob.name, index).setAttribute("aria-label", `${title(knob)}, ${each}`);
            names.forEach(named);
        }
    }

    fill(values) {
        for (const knob of this.knobs) {
            for (const index of [0, 1]) {
                const control = this.own(knob.name, index);
                if (control) {
                    control.value = values[index]?.get(knob.name) ?? knob.default;
                }
            }
        }
    }

    /** The knobs of one configuration that differ from the defaults, as text for the module. */
    text(index) {
        const texts = this.knobs.flatMap((knob) => {
            const { value } = this.own(knob.name, index) ?? this.own(knob.name, 0);
            // A value turns no other knob.
            return value === knob.default ? [] : [`${knob.name}=${value.replaceAll("&", " ")}`];
        });
        return texts.join("&");
    }

    texts() {
        return this.names.map((_, index) => this.text(index));
    }

    /** Takes an address over. Returns the texts to run: the module refuses what the form cannot show. */
    read(parts) {
        this.fill(parts.map(pairs));
        return this.texts().map((text, index) => {
            const shown = pairs(text);
            const isShown = [...pairs(parts[index] ?? "")].every(([name, value]) => {
                const knob = this.knobs.find((each) => each.name === name);
                return knob && (shown.get(name) ?? knob.default) === value;
            });
            return isShown ? text : parts[index];
        });
    }
}
