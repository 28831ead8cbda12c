/** What the header shows whichever page is open: queries of this tab that run, and whether the gateway answers. */

import { computed, reactive, ref } from "vue";

export interface Activity {
  key: string;
  title: string;
  path: string;
  percent: number;
}

const active = reactive(new Map<string, Activity>());

export const activities = computed(() => [...active.values()]);
export const offline = ref(false);
/** What screen readers are told: start, each quarter, failure, end. */
export const announcement = ref("");

export function report(activity: Activity): void {
  active.set(activity.key, activity);
}

export function withdraw(key: string): void {
  active.delete(key);
}

export function announce(text: string): void {
  announcement.value = text;
}
