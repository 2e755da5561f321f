// The test pages: a button beside the choices of each question, and what to read in the end. Nothing is sent or stored.
// Without this script the answers unfold.
(() => {
    const questions = Array.from(document.querySelectorAll("fieldset.quiz"));
    const result = document.querySelector(".quiz-result");
    // Whether the first answer to a question was right.
    const first = new Map();

    const pageOf = (question) => Array.from(question.querySelectorAll("details a[href]")).at(-1);

    // The pages of the questions that were missed. If the test ends in a number of pages, others fill it up.
    const pages = () => {
        const missed = questions.filter((question) => !first.get(question));
        const all = missed.concat(result.dataset.pages ? questions.filter((question) => first.get(question)) : []);
        const links = new Map(all.map(pageOf).map((link) => [link.href, link]));
        return Array.from(links.values()).slice(0, Number(result.dataset.pages ?? questions.length));
    };

    const finish = () => {
        const right = Array.from(first.values()).filter(Boolean).length;
        const score = document.createElement("p");
        const links = pages();
        score.textContent = `Right at once: ${right} of ${questions.length}.${links.length ? " Read these pages:" : ""}`;
        const list = document.createElement("ul");
        for (const link of links) {
            const item = document.createElement("li");
            item.append(link.cloneNode(true));
            list.append(item);
        }
        result.replaceChildren(score, ...(links.length ? [list] : []));
    };

    const check = (question, says) => {
        const chosen = question.querySelector("input:checked");
        if (!chosen) {
            says.textContent = "Choose an answer first.";
            return;
        }
        const right = "right" in chosen.dataset;
        says.textContent = right ? "Right." : "No. Choose again, or unfold the answer.";
        question.classList.toggle("right", right);
        if (right) {
            question.querySelector("details").open = true;
        }
        if (!first.has(question)) {
            first.set(question, right);
            if (first.size === questions.length) {
                finish();
            }
        }
    };

    for (const question of questions) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "quiz-check";
        button.textContent = "Check";
        const says = document.createElement("p");
        says.setAttribute("role", "status");
        button.addEventListener("click", () => check(question, says));
        question.querySelector("details").before(button, says);
        // The arrows choose an answer here. Elsewhere they turn the pages of the book.
        question.addEventListener("keydown", (event) => {
            if (event.target.type === "radio") {
                event.stopPropagation();
            }
        });
    }
})();
