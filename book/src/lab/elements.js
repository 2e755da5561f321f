// What every part of the lab makes elements and figures with.

export const make = (name, properties = {}, ...children) => {
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

export const button = (text, act) => {
    const made = make("button", { type: "button", textContent: text });
    made.addEventListener("click", act);
    return made;
};

export const details = (title, ...children) => make("details", {}, make("summary", {}, title), ...children);

export const table = (head, rows) => {
    const row = ([label, ...values]) => {
        const cells = values.map((value) => make("td", {}, String(value)));
        return make("tr", {}, make("th", { scope: "row" }, String(label)), ...cells);
    };
    const heads = head.map((text, index) => make(index ? "th" : "td", index ? { scope: "col" } : {}, text));
    const whole = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(row)));
    return make("div", { className: "table-wrapper" }, whole);
};

export const round = (value, digits = 0) =>
    value === null || value === undefined ? "–" : Number(value.toFixed(digits));
