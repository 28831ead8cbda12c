/** ECharts, cut down to what is drawn, in a chunk of its own that is loaded after the first paint. */

import { BarChart, LineChart } from "echarts/charts";
import { DataZoomSliderComponent, GridComponent, MarkAreaComponent, TooltipComponent } from "echarts/components";
import { init, use, type EChartsType } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, DataZoomSliderComponent, GridComponent, MarkAreaComponent, TooltipComponent, CanvasRenderer]);

export { init, type EChartsType };
