/** Creates the controllers of the page, connects them, and opens the model. */
import { CalibrationController } from "./controllers/calibration.js";
import { ExportController } from "./controllers/export.js";
import { InspectionController } from "./controllers/inspection.js";
import { arrangeCards } from "./layout.js";
import { SAMPLE_MISSING } from "./messages.js";
import { Session } from "./session.js";
import { listenForPhotos } from "./sources.js";
import { browserStorage, ThresholdStore } from "./thresholds.js";

arrangeCards();

const session = new Session();
const thresholds = new ThresholdStore(browserStorage());
const inspection = new InspectionController(session, thresholds);
const calibration = new CalibrationController(session, thresholds, inspection.form);
new ExportController(inspection, session.model);

session.onActivity = (activity) => {
  inspection.enable(activity);
  calibration.enable(activity);
};
session.model.onChange = () => {
  session.open();
  calibration.showThresholds();
};
session.notice.onAction = (action) => {
  switch (action) {
    case "inspect":
      void inspection.inspect();
      return;
    case "use-cpu":
      session.model.chooseDevice("cpu");
      reopen();
      return;
    case "reload-model":
      reopen();
      return;
    default:
      action satisfies never;
  }
};
calibration.onThresholds = (object, found) => {
  inspection.applyThresholds(object, found);
};
listenForPhotos(
  (photo) => {
    void inspection.setPhoto(photo);
  },
  (thrown) => {
    session.notice.showMessage(SAMPLE_MISSING, String(thrown));
  },
);
session.onActivity("idle");

await session.model.listModels();
session.open();
calibration.showThresholds();
// The user may have chosen a photograph while the list of models was loading.
if (inspection.photo) await inspection.inspect();

/** Opens the model again and inspects a photograph that has no result yet. */
function reopen(): void {
  session.open();
  if (inspection.photo && !inspection.inspected) void inspection.inspect();
}
