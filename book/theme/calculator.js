// The calculators of the pages "Sizing your pool" and "Fleets". Their arithmetic and their words are those of
// crates/experiments/src/calculators.rs: a test asks both the same and compares.
(() => {
    const share = (left, pools) => Math.max(Math.floor(left / pools), 0);
    const tenth = (value) => Math.floor(value * 10 + 0.5) / 10;

    const sizing = ({ rate, hold, limit, reserved, pools }) => {
        const held = (rate * hold) / 1000;
        const size = Math.max(Math.ceil(held + 2 * Math.sqrt(held)), 1);
        const mine = share(limit - reserved, pools);
        const need = `Held on average: ${tenth(held) || "less than 0.1"}. With headroom the pool needs ${size}.`;
        // The mean at which the share has its headroom, and the hold that gives it.
        const root = Math.sqrt(1 + mine) - 1;
        const enough = Math.floor(((root * root * 1000) / rate) * 10) / 10;
        if (mine < 1) {
            return `${need} The server has not one connection for each pool. Use a proxy, or run fewer pools.`;
        }
        if (size <= mine) {
            return `${need} Your share of the server is ${mine}, so it fits: set max_connections to ${size}.`;
        }
        if (held < mine) {
            return `${need} Your share of the server is ${mine}: set max_connections to ${mine}. Some requests will wait. With a hold of ${enough} ms they would not.`;
        }
        return `${need} Your share of the server is ${mine}, and that cannot carry the load: the queue grows until acquires time out. It can with a hold of ${enough} ms, fewer pools, or a proxy.`;
    };

    const fleet = ({ limit, reserved, others, replicas, surge, unavailable, start, end, each }) => {
        const left = limit - reserved - others;
        const more = Math.min((surge + unavailable) * (1 + Math.ceil(end / start)), replicas);
        const most = replicas + more;
        const pools = most * each;
        const alive = `A deploy has ${most} replicas at most: ${replicas} and ${more} more. Pools: ${pools}.`;
        if (left < 1) {
            return `${alive} The reserve and the other clients leave no connection for them.`;
        }
        const mine = share(left, pools);
        if (mine < 1) {
            return `${alive} Connections left for them: ${left}, not one for each. Use a proxy, or run fewer and larger replicas.`;
        }
        return `${alive} Connections left for them: ${left}. Set max_connections of each pool to ${mine}: together they open ${mine * pools} at most.`;
    };

    const answers = { sizing, fleet };

    // The number in a field, or undefined.
    const read = (input) => {
        const typed = /^[ \t]*(\d{1,9}(?:\.\d{1,6})?)[ \t]*$/.exec(input.value);
        const number = typed ? Number(typed[1]) : NaN;
        const { least, most, whole } = input.dataset;
        const fits = number >= Number(least) && number <= Number(most);
        return fits && (whole === undefined || Number.isInteger(number)) ? number : undefined;
    };

    for (const form of document.querySelectorAll("form.calculator")) {
        const name = form.dataset.calculator;
        const inputs = Array.from(form.querySelectorAll("input"));
        const output = form.querySelector("output");
        const prefix = `#calculator/${name}/`;

        const answer = () => {
            const numbers = {};
            let wrong;
            for (const input of inputs) {
                numbers[input.name] = read(input);
                input.toggleAttribute("aria-invalid", false);
                if (numbers[input.name] === undefined) {
                    input.setAttribute("aria-invalid", "true");
                    wrong ??= input;
                }
            }
            const { least, most, whole } = wrong?.dataset ?? {};
            const kind = whole === undefined ? "a number" : "a whole number";
            const said = wrong
                ? `${wrong.labels[0].textContent}: give ${kind} from ${least} to ${most}.`
                : answers[name](numbers);
            // A reader of the screen is told of changes only.
            if (output.textContent !== said) {
                output.textContent = said;
            }
        };

        // The address of the page has the numbers, to be sent to somebody else or kept.
        const recall = () => {
            if (!location.hash.startsWith(prefix)) {
                return false;
            }
            const given = new URLSearchParams(location.hash.slice(prefix.length));
            for (const input of inputs) {
                input.value = given.get(input.name) ?? input.defaultValue;
            }
            answer();
            return true;
        };
        const remember = () => {
            const typed = new URLSearchParams(inputs.map((input) => [input.name, input.value]));
            history.replaceState(history.state, "", prefix + typed);
        };

        form.addEventListener("input", answer);
        // Once a field is left, and not at each key: browsers refuse a page that changes its address too often.
        form.addEventListener("change", remember);
        form.addEventListener("submit", (event) => event.preventDefault());
        window.addEventListener("hashchange", recall);
        if (recall()) {
            form.scrollIntoView();
        } else {
            // A browser may have kept what was typed before a reload.
            answer();
        }
    }
})();
