import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

// Imports go one way: routes -> features -> (api | player | components) -> lib; no feature imports another.
const features = ["cameras", "incidents", "day", "jobs", "workers", "models", "speech", "deliveries"];
const zone = (folder, ...above) => ({
  files: [`src/${folder}/**`],
  rules: {
    "no-restricted-imports": [
      "error",
      { patterns: [{ group: above.map((name) => `**/${name}/**`), message: `${folder} must not import this.` }] },
    ],
  },
});
const zones = [
  zone("lib", "routes", "features", "api", "player", "components"),
  zone("api", "routes", "features", "player", "components"),
  zone("player", "routes", "features", "api", "components"),
  zone("components", "routes", "features", "player"),
  ...features.map((own) => zone(`features/${own}`, "routes", ...features.filter((other) => other !== own))),
];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    plugins: { "react-hooks": reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/only-throw-error": "off", // the router's redirect is thrown
    },
  },
  ...zones,
);
