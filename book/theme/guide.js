// What the keyboard needs and mdBook does not give: a way past the sidebar, and one to open and close it.
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

    // It is a label, which no key reaches.
    const toggle = document.getElementById("mdbook-sidebar-toggle");
    toggle.tabIndex = 0;
    toggle.setAttribute("role", "button");
    toggle.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            toggle.click();
        }
    });
})();
