"""A registered model in MLflow's registry: its versions and their aliases."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from xray.config import Workspace
from xray.errors import RegistryError
from xray.models.model_files import DIGEST_TAG
from xray.tracking.store import reached, store_of

CHALLENGER = "challenger"
CHAMPION = "champion"


class RegisteredModel:
    """One registered model, by its name.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.
    """

    def __init__(self, workspace: Workspace, model_name: str) -> None:
        """Connect to the store."""
        self.store = store_of(workspace)
        self.model_name = model_name
        self.client: MlflowClient = self.store.client()

    def aliases(self) -> dict[str, str]:
        """Read which version bears each alias.

        Raises:
            RegistryError: There is no such model, or the store cannot be reached.
        """
        with reached(self.store):
            try:
                found = self.client.get_registered_model(self.model_name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise RegistryError(
                    f"a model must be registered: train one first. Received: {self.model_name}, not in "
                    f"{self.store.shown}"
                ) from None
        return {alias: str(version) for alias, version in found.items()}

    def champion(self) -> str | None:
        """Read which version is the champion, if any."""
        return self.aliases().get(CHAMPION)

    def version(self, version: str) -> ModelVersion:
        """Read a version.

        Raises:
            RegistryError: It is not registered, or the store cannot be reached.
        """
        with reached(self.store):
            try:
                return self.client.get_model_version(self.model_name, version)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise RegistryError(
                    f"a version must be registered. Received: {self.model_name} version {version}"
                ) from None

    def digest(self, version: str | None) -> str:
        """Read the digest of a version's content; "" for no version, or one that was registered without."""
        return "" if version is None else str(self.version(version).tags.get(DIGEST_TAG, ""))
