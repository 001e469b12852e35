import { expect, test } from "vitest";

import { makeClock } from "./clock";

test("a clock tells where it stands at once, then every change until nobody listens", () => {
  const clock = makeClock();
  const told: number[] = [];
  clock.tell(2);
  const stop = clock.follow((second) => told.push(second));
  clock.tell(3);
  clock.tell(3);
  stop();
  clock.tell(4);
  expect(told).toEqual([2, 3]);
  expect(clock.now()).toBe(4);
});
