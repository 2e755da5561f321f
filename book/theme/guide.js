// What mdBook does not give: a way past the sidebar by keyboard, one to open and close it, and output in columns.
(() => {
    const content = document.getElementById("mdbook-content");
    const skip = document.createElement("a");
    skip.className = "skip-link";
    skip.href = "#mdbook-content";
    skip.textContent = "Skip to the text";
    // By hand, because the page for missing pages has a base address to which the link would lead.
    skip.addEventListener("click", (event) => {
        event.preventDefault();
        content.tabIndex = -1;
        content.focus();
    });
    document.body.prepend(skip);

    // It is a label, which no key reaches and which may not be a button. A page without scripts keeps it.
    const label = document.getElementById("mdbook-sidebar-toggle");
    const box = document.getElementById("mdbook-sidebar-toggle-anchor");
    const toggle = document.createElement("button");
    for (const { name, value } of label.attributes) {
        if (name !== "for") {
            toggle.setAttribute(name, value);
        }
    }
    toggle.type = "button";
    toggle.append(...label.childNodes);
    toggle.addEventListener("click", () => box.click());
    box.addEventListener("change", () => toggle.setAttribute("aria-expanded", box.checked));
    label.replaceWith(toggle);

    // Output whose columns stand below each other must not wrap.
    for (const code of document.querySelectorAll("pre > code.language-text")) {
        if (/\S( {3,}| +\| +)\S/.test(code.textContent)) {
            code.classList.add("in-columns");
        }
    }

    // A phone shows a table of words that is too wide as cards, in which each cell says what it is.
    for (const table of document.querySelectorAll(".content table")) {
        const heads = Array.from(table.tHead?.rows[0]?.cells ?? []);
        const wide = heads.length > 2 || table.parentElement.scrollWidth > table.parentElement.clientWidth;
        if (!wide || heads.filter((head) => head.style.textAlign === "right").length > 1) {
            continue;
        }
        table.classList.add("cards");
        for (const row of table.tBodies[0].rows) {
            Array.from(row.cells).slice(1).forEach((cell, index) => {
                cell.dataset.name = heads[index + 1].textContent;
            });
        }
    }

    // A box that leaves of the tables below it, as far as the next chapter of the page, the rows that have a text.
    for (const place of document.querySelectorAll(".filter")) {
        const label = document.createElement("label");
        const input = document.createElement("input");
        input.type = "search";
        label.append("Show only rows with ", input);
        place.append(label);
        const below = [];
        for (let next = place.nextElementSibling; next && next.localName !== "h2"; next = next.nextElementSibling) {
            below.push(next);
        }
        const rows = below.flatMap((part) => [...part.querySelectorAll("tbody tr")]);
        input.addEventListener("input", () => {
            const words = input.value.toLowerCase().split(/\s+/);
            for (const row of rows) {
                const text = row.textContent.toLowerCase();
                row.hidden = !words.every((word) => text.includes(word));
            }
        });
    }

    // On paper nothing can be unfolded.
    window.addEventListener("beforeprint", () => {
        document.querySelectorAll("main details").forEach((details) => (details.open = true));
    });

    // The keys scroll what has the focus.
    const reach = () => {
        for (const region of document.querySelectorAll("pre > code, .table-wrapper")) {
            if (region.scrollWidth > region.clientWidth) {
                region.tabIndex = 0;
            } else {
                region.removeAttribute("tabindex");
            }
        }
    };
    window.addEventListener("load", reach);
    window.addEventListener("resize", reach);

    // A long name breaks where one of its words ends.
    for (const code of document.querySelectorAll(".content :not(pre) > code")) {
        if (code.textContent.length > 16 && code.childElementCount === 0 && !code.closest("td:first-child")) {
            const words = code.textContent.split(/(?<=[_.:/])(?=\w)|(?<=[a-z])(?=[A-Z])/);
            code.replaceChildren(...words.flatMap((word) => [word, document.createElement("wbr")]));
        }
    }
})();

// The Pool Lab: a button, and nothing more before a click or an address that asks for a run.
(() => {
    const labs = [...document.querySelectorAll("pool-lab")];

    const open = async (lab, address) => {
        if (address) {
            lab.scrollIntoView();
        }
        try {
            await import(new URL(`${path_to_root}lab/pool-lab.js`, document.baseURI));
        } catch {
            lab.textContent = "The lab cannot be loaded here. It needs a page that comes from a web server.";
            return;
        }
        if (!lab.started) {
            lab.started = lab.start(address);
            await lab.started;
        } else if (address) {
            await lab.started;
            await lab.reproduce(address);
        }
        // A control whose value is wrong has the focus, and is in view, as is a size.
        if (address && !lab.querySelector("[aria-invalid], .pool-lab-answer > *")) {
            lab.scrollIntoView();
        }
    };
    for (const lab of labs) {
        const button = document.createElement("button");
        button.type = "button";
        const sizes = lab.getAttribute("preset") === "sizing";
        button.textContent = sizes ? "Size my pool with my own numbers" : "Predict, then run it here";
        button.addEventListener("click", () => open(lab));
        lab.append(button);
    }

    // Also in a page that is there already, whose address a link changes. The others stay as they are.
    const follow = () => {
        const [mark, asked, ...knobs] = location.hash.split("/");
        const lab = mark === "#lab" && labs.find((each) => each.getAttribute("preset") === asked);
        if (lab) {
            open(lab, knobs.join("/"));
        }
    };
    window.addEventListener("hashchange", follow);
    follow();
})();
