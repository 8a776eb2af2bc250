"use strict";
{
  const form = document.getElementById("filter");
  const words = document.getElementById("words");
  const standing = document.getElementById("standing");
  const cloud = document.getElementById("cloud");
  const shown = document.getElementById("shown");
  const groups = [...document.querySelectorAll("section.group")];
  const roles = [...document.querySelectorAll("[data-standing]")].map((place) => ({
    place,
    text: place.textContent.toLowerCase(),
  }));

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { place, text } of roles) {
      const fits =
        (!standing.value || place.dataset.standing === standing.value) &&
        (!cloud.value || place.dataset.cloud === cloud.value) &&
        wanted.every((word) => text.includes(word));
      place.hidden = !fits;
      count += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-standing]:not([hidden])");
    shown.textContent = `${count} of ${roles.length} roles`;
  };

  form.hidden = roles.length === 0;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // A link to a group that is filtered out would lead nowhere.
  for (const link of document.querySelectorAll(".counts a")) {
    link.addEventListener("click", () => {
      form.reset();
      filter();
    });
  }

  // Paper cannot be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
  });
}
