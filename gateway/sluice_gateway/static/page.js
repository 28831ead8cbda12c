"use strict";

// Text reaches the page as text only: nothing here writes markup.
function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function sampleValue(schema, plantDate) {
  if (schema.format === "date") return plantDate;
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return ["…"];
  return schema.type === "integer" || schema.type === "number" ? 1 : "…";
}

function curlLines(dataset, plantDate) {
  const base = new URL("api/" + dataset.route, document.baseURI).href;
  const body = {};
  for (const name of dataset.parameters.required || []) {
    body[name] = sampleValue(dataset.parameters.properties[name], plantDate);
  }
  const json = JSON.stringify(body).replaceAll("'", "");
  const view = dataset.initial_views[0] || dataset.views[0].name;
  return [
    `curl -s ${base}/query -H 'Content-Type: application/json' -d '${json}'`,
    `curl -s '${base}/view?query_id=QUERY_ID&view=${view}'`,
    `curl -sOJ '${base}/export?query_id=QUERY_ID&format=csv'`,
  ].join("\n");
}

function article(dataset, plantDate) {
  const rows = dataset.views.map((view) =>
    element("tr", "", element("td", view.name), element("td", view.title), element("td", view.description)));
  const head = element("tr", "", element("th", "View"), element("th", "Title"), element("th", "One row is"));
  return element("article", "",
    element("h2", dataset.title),
    element("p", dataset.description),
    element("p", dataset.day_rule),
    element("pre", curlLines(dataset, plantDate)),
    element("table", "", element("thead", "", head), element("tbody", "", ...rows)));
}

async function show() {
  const status = document.getElementById("status");
  try {
    const response = await fetch("api/datasets", { headers: { Accept: "application/json" } });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
    const clock = document.getElementById("clock");
    clock.textContent = `The plant's clock says ${answer.plant_time.replace("T", " ")}.`;
    clock.hidden = !answer.plant_time;
    const plantDate = answer.plant_time.slice(0, 10);
    document.getElementById("datasets").append(...answer.datasets.map((dataset) => article(dataset, plantDate)));
    status.hidden = true;
  } catch (error) {
    status.className = "problem";
    status.textContent = `The datasets cannot be shown. ${error.message}. Reload to try again.`;
  }
}

show();
